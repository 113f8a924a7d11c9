"""The chat in pipes: the answer and nothing else, records in order, one line for each error."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_models import ENDLESS, RIVER, RIVER_ANSWER

from norcli.chat.huggingface_engine import load_model
from norcli.chat.opening import describe_model
from norcli.errors import DataError, InputMissingError

CITY = "Hva heter hovedstaden?"
CITY_ANSWER = "Hovedstaden heter Oslo.\n\nDen ligger ved fjorden."


def chat(*words: str, given: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "norcli", "chat", *words], input=given, capture_output=True,
        timeout=100, check=False, env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip


@pytest.fixture(params=["gguf", "hf"])
def model(request: pytest.FixtureRequest, model_directory: Path, gguf_model: Path) -> str:
    return str(gguf_model if request.param == "gguf" else model_directory)


def test_question_on_a_pipe_gives_the_answer_and_nothing_else(model: str) -> None:
    result = chat(model, given=f"{RIVER}\n".encode())
    assert result.stdout.decode() == RIVER_ANSWER + "\n"
    assert result.stderr == b""
    assert result.returncode == 0


def test_records_keep_their_fields_and_order(gguf_model: Path, tmp_path: Path) -> None:
    records = [
        {"id": "a", "prompt": RIVER, "extra": {"x": [1]}},
        {"messages": [{"role": "user", "content": CITY}]},
        {"id": "c", "prompt": RIVER},
    ]
    source, target, stats = (tmp_path / name for name in ("in.jsonl", "out.jsonl", "stats.json"))
    source.write_text("".join(json.dumps(record) + "\n" for record in records))
    result = chat(str(gguf_model), "--jsonl", str(source), "-o", str(target), "--stats", str(stats))
    assert result.returncode == 0, result.stderr
    assert result.stdout == b""
    answered = [json.loads(line) for line in target.read_text("utf-8").splitlines()]
    answers = [RIVER_ANSWER, CITY_ANSWER, RIVER_ANSWER]
    expected = [
        record | {"completion": answer} for record, answer in zip(records, answers, strict=True)
    ]
    assert answered == expected
    counted = json.loads(stats.read_text())
    assert (counted["answers"], counted["unfinished"]) == (3, 0)
    again = chat(str(gguf_model), "--jsonl", str(source), "-o", str(target))
    assert again.returncode == 73


@pytest.mark.parametrize(
    ("words", "given", "message"),
    [
        ((), b"", b"<stdin>: the prompt is empty"),
        ((), b" \n\n", b"<stdin>: the prompt is empty"),
        ((), b"\xff\xfe", b"<stdin>: not UTF-8"),
        (("--prompt", ""), b"", b"the prompt is empty"),
        (("--prompt", "Hva " * 60, "--context", "64"), b"", b"more than the context of 64"),
        (("--jsonl",), b'{"text": "a"}\n', b'<stdin>:1: record has no "prompt"'),
        (("--jsonl",), b'{"prompt": "Hei"}\n{\n', b"<stdin>:2: not valid JSON"),
        (("--jsonl",), b'{"messages": []}\n', b'<stdin>:1: "messages" is no list'),
        (("--jsonl",), b'{"messages": [{"role": "assistant", "content": "x"}]}\n', b"end with the"),
    ],
)
def test_bad_input_is_told_in_one_line(
    gguf_model: Path, words: tuple[str, ...], given: bytes, message: bytes
) -> None:
    result = chat(str(gguf_model), *words, given=given)
    assert result.returncode == 65
    assert message in result.stderr
    assert result.stderr.count(b"\n") <= 2


def test_no_records_give_an_empty_output_and_a_warning(gguf_model: Path) -> None:
    result = chat(str(gguf_model), "--jsonl")
    assert (result.returncode, result.stdout) == (0, b"")
    assert b"warning: no records in the input" in result.stderr


def test_skipped_records_leave_the_others(gguf_model: Path) -> None:
    given = b'{"prompt": ""}\n{"prompt": "Hei", "n": 1}\n{}\n'
    result = chat(str(gguf_model), "--jsonl", "--on-bad-record", "skip", given=given)
    assert result.returncode == 0
    assert [json.loads(line)["n"] for line in result.stdout.splitlines()] == [1]
    assert b"skipped 2 bad records" in result.stderr


def test_engines_agree_to_the_letter(model_directory: Path, gguf_model: Path) -> None:
    words = ("--prompt", "Hva er norsk?", "--max-new-tokens", "40", "--repeat-penalty", "1.2")
    answers = [chat(str(m), *words).stdout for m in (model_directory, gguf_model)]
    assert answers[0] == answers[1]
    assert len(answers[0]) > 1


def test_seed_decides_a_random_answer(gguf_model: Path) -> None:
    words = (str(gguf_model), "--prompt", "Si noe.", "--max-new-tokens", "30",
             "--temperature", "9", "--top-k", "1000", "--min-p", "0", "--top-p", "1")  # fmt: skip
    first, again, other = (chat(*words, "--seed", seed).stdout for seed in ("7", "7", "8"))
    assert first == again
    assert first != other


def test_template_changes_the_prompt_and_input_text_comes_from_a_pipe(gguf_model: Path) -> None:
    plain = chat(str(gguf_model), "--template", "none", "--prompt", RIVER + "\n\nSvar:")
    assert plain.stdout.decode() == RIVER_ANSWER + "\n"
    about = chat(
        str(gguf_model),
        "--template",
        "none",
        "--prompt",
        "Hva er Norges",
        "--input-text",
        "-",
        given=b"lengste elv",
        **{"NORCLI_CHAT_MAX_NEW_TOKENS": "3"},
    )
    assert about.returncode == 0  # fmt: skip


def test_tokens_are_flushed_as_they_come(gguf_model: Path) -> None:
    command = [sys.executable, "-m", "norcli", "chat", str(gguf_model), "--prompt", ENDLESS,
               "--context", "65536", "--max-new-tokens", "60000"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.read(30).startswith(b"en to tre en")
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == b"norcli chat: stopped by SIGINT\n"


def test_reader_that_goes_away_ends_the_answer_silently(gguf_model: Path) -> None:
    command = (f"{sys.executable} -m norcli chat {gguf_model} --prompt '{ENDLESS}' --context 65536 "
               "--max-new-tokens 60000 | head -c 9; echo ${PIPESTATUS[0]}")  # fmt: skip
    result = subprocess.run(["bash", "-c", command], capture_output=True, check=True, timeout=60)
    assert result.stdout == b"en to tre141\n"
    assert result.stderr == b""


@pytest.mark.parametrize("keep", [3, 100, 5000, 40_000, 0.5, 0.99])
def test_cut_gguf_is_refused_in_one_line(gguf_model: Path, tmp_path: Path, keep: float) -> None:
    data = gguf_model.read_bytes()
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(data[: int(keep if keep >= 1 else keep * len(data))])
    result = chat(str(broken), "--prompt", "Hei")
    assert result.returncode == 65
    assert result.stderr.decode().startswith(f"norcli chat: {broken}: ")
    assert result.stderr.count(b"\n") <= 2


def test_gguf_that_llama_cpp_cannot_run_is_refused(gguf_model: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd.gguf"
    odd.write_bytes(gguf_model.read_bytes().replace(b"blk.0.attn_q.weight", b"blk.0.attn_x.weight"))
    result = chat(str(odd), "--prompt", "Hei")
    assert result.returncode == 65
    assert b'llama.cpp cannot run this "llama" model' in result.stderr


@pytest.mark.parametrize(
    ("remove", "message"),
    [
        ("config.json", b"is no model directory"),
        ("tokenizer.model", b"has no tokenizer"),
        ("model.safetensors", b"has no weights"),
    ],
)
def test_incomplete_directory_is_refused_before_torch(
    model_directory: Path, tmp_path: Path, remove: str, message: bytes
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(model_directory, copy)
    (copy / remove).unlink()
    result = chat(str(copy), "--prompt", "Hei")
    assert result.returncode == 65
    assert message in result.stderr


def test_damaged_weights_are_refused(model_directory: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(model_directory, copy)
    weights = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(DataError, match="its weights cannot be loaded"):
        load_model(copy, "cpu")
    shutil.copy(model_directory / "model.safetensors", copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(DataError, match=r'its weights lack "model\.layers\.2'):
        load_model(copy, "cpu")


def test_adapter_is_joined_with_its_base_model(model_directory: Path, tmp_path: Path) -> None:
    import peft
    import torch

    torch.manual_seed(1)
    settings = peft.LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    wrapped = peft.get_peft_model(load_model(model_directory, "cpu"), settings)
    adapter = tmp_path / "adapter"
    wrapped.save_pretrained(adapter)
    description = describe_model(str(adapter))
    assert (description.engine, description.context_tokens) == ("hf", 65536)
    ids = torch.tensor([[1, 5, 9]])
    with torch.inference_mode():
        expected = wrapped(ids).logits
        merged = load_model(adapter, "cpu")(ids).logits
        plain = load_model(model_directory, "cpu")(ids).logits
    assert torch.allclose(merged, expected, atol=1e-4)
    assert not torch.allclose(merged, plain, atol=1e-2)
    (adapter / "adapter_config.json").write_text('{"base_model_name_or_path": "borte"}')
    with pytest.raises(InputMissingError, match='its base model "borte" is not a directory here'):
        describe_model(str(adapter))


def test_missing_packages_are_named(gguf_model: Path, model_directory: Path) -> None:
    probe = (
        "import sys\nfor name in ('xllamacpp', 'torch'): sys.modules[name] = None\n"
        "from norcli.cli.main import main\nsys.exit(main(['chat', {!r}, '--prompt', 'Hei']))"
    )
    for model, package, extra in ((gguf_model, "xllamacpp", "chat"),
                                  (model_directory, "torch", "train")):  # fmt: skip
        result = subprocess.run([sys.executable, "-c", probe.format(str(model))],
                                capture_output=True, check=False)  # fmt: skip
        assert result.returncode == 69
        assert f"needs {package}\nhint: pip install 'norcli[{extra}]'" in result.stderr.decode()


def test_engine_can_be_closed_at_once(gguf_model: Path) -> None:
    probe = (
        "from norcli.chat.opening import describe_model\n"
        "from norcli.chat.gguf_engine import GgufEngine\n"
        "for _ in range(20):\n"
        f"    GgufEngine(describe_model({str(gguf_model)!r}), context=64, threads=1).close()\n"
    )
    subprocess.run([sys.executable, "-c", probe], check=True, timeout=60)


def test_gguf_answers_without_torch_and_numpy(gguf_model: Path) -> None:
    probe = (
        "import sys\nfrom norcli.cli.main import main\n"
        f"main(['chat', {str(gguf_model)!r}, '--prompt', {RIVER!r}])\n"
        "heavy = {'torch', 'transformers', 'numpy', 'sentencepiece', 'rich', 'prompt_toolkit'}\n"
        "sys.exit(len(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, check=False)
    assert result.returncode == 0
    assert result.stdout.decode() == RIVER_ANSWER + "\n"
