"""Fine-tuning end to end: what is learnt, what is refused, adapters and stored templates."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from norcli.cluster.placement import Placement
from norcli.console import Console
from norcli.errors import DataError, ResumableStopError, UsageError
from norcli.formats.documents import Place
from norcli.tokens.huggingface import load_tokenizer
from norcli.training import templates
from norcli.training.checkpoint import save_model_directory
from norcli.training.instructions import encode_messages, record_messages
from norcli.training.options import SftOptions
from norcli.training.sft import plan_sft, sft

PLACE = Place("data.jsonl", 7)
PAIRS = [
    ("Hva renner gjennom dalen?", "Elven renner gjennom dalen."),
    ("Når biter fisken best?", "Fisken biter best ved solnedgang."),
    ("Hvor møtes folk?", "Folk møtes på torget."),
    ("Hva er høyt?", "Fjellet er høyt."),
]


@pytest.fixture(scope="module")
def base_model(tokenizer_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with fresh weights."""
    from norcli.model.build import build_model, hugging_face_config
    from norcli.model.presets import load_preset

    shape = {"num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 128}
    config = hugging_face_config(
        load_preset("norgpt-nano"), vocab_size=load_tokenizer(tokenizer_dir).vocab_size,
        context=96, overrides=shape,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("base")
    save_model_directory(build_model(config, seed=3), tokenizer_dir, folder)
    return folder


@pytest.fixture
def records(tmp_path: Path) -> Path:
    file = tmp_path / "data.jsonl"
    lines = [
        json.dumps({"Instruksjon": q, "Input": "N/A", "Output": a}, ensure_ascii=False)
        for q, a in PAIRS
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def options(records: Path, model: Path, output: Path, **more: Any) -> SftOptions:
    values: dict[str, Any] = {
        "max_steps": 120, "global_batch_size": 4, "lr": 5e-3, "jobs": 1, "precision": "fp32",
    }  # fmt: skip
    return SftOptions(inputs=[str(records)], model=str(model), output=str(output), **values | more)


def answer(folder: Path, question: str) -> str:
    """Ask a model with its stored template, taking the likeliest token each time."""
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = load_tokenizer(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    template = templates.template_of(folder)
    assert template is not None and tokenizer.bos_id is not None
    ids = [tokenizer.bos_id, *tokenizer.encode(templates.render_prompt(template, question))]
    with torch.no_grad():
        out = model.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), max_new_tokens=60,
            do_sample=False, pad_token_id=tokenizer.eos_id,
        )[0].tolist()[len(ids) :]  # fmt: skip
    assert out[-1] == tokenizer.eos_id, "the answer ends by itself"
    return tokenizer.decode(out[:-1]).strip()


@pytest.mark.parametrize("packing", [True, False])
def test_model_learns_to_answer_verbatim(
    records: Path, base_model: Path, tmp_path: Path, packing: bool
) -> None:
    output = tmp_path / "tuned"
    result = sft(options(records, base_model, output, packing=packing), Console.silent())
    assert result.loss < 0.05
    for question, expected in PAIRS:
        assert answer(output, question) == expected
    assert templates.template_of(output) == "norwai"
    assert (output / "chat_template.jinja").is_file()


def test_run_in_slices_gives_the_same_bytes(
    records: Path, base_model: Path, tmp_path: Path
) -> None:
    for lora in (False, True):
        whole, sliced = tmp_path / f"whole{lora}", tmp_path / f"sliced{lora}"
        more = {"max_steps": 4, "lora": lora, "rank": 2, "dropout": 0.1}
        sft(options(records, base_model, whole, **more), Console.silent())
        late = Placement(deadline=time.time() - 1)
        for _ in range(3):
            with pytest.raises(ResumableStopError):
                sft(options(records, base_model, sliced, **more), Console.silent(), late)
        sft(options(records, base_model, sliced, **more), Console.silent(), late)
        name = "adapter_model.safetensors" if lora else "model.safetensors"
        assert (sliced / name).read_bytes() == (whole / name).read_bytes()


def test_lora_trains_an_adapter_and_merges_it(
    records: Path, base_model: Path, tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    output = tmp_path / "tuned"
    result = sft(
        options(records, base_model, output, lora=True, rank=8, merge=True, lr=2e-2, max_steps=150),
        Console.silent(),
    )
    # The frozen weights are random, so that the adapter alone cannot learn everything.
    assert result.loss < result.curve[0][1] - 0.5
    report = json.loads((output / "training.json").read_text())
    assert report["trained_parameters"] < 0.4 * report["parameters"]
    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        merged = AutoModelForCausalLM.from_pretrained(output)(ids).logits
        plain = AutoModelForCausalLM.from_pretrained(base_model)
        adapted = PeftModel.from_pretrained(plain, output / "adapter")(ids).logits
    torch.testing.assert_close(merged, adapted, rtol=1e-3, atol=1e-3)
    assert templates.template_of(output) == templates.template_of(output / "adapter") == "norwai"
    wrong = options(records, base_model, tmp_path / "x", lora=True, target_modules=["q_projj"])
    with pytest.raises(UsageError, match="q_projj is not in the model"):
        sft(wrong, Console.silent())


def test_answers_and_their_end_are_learnt_and_prompts_are_not(tokenizer_dir: Path) -> None:
    tokenizer = load_tokenizer(tokenizer_dir)
    messages = record_messages({"instruction": "Hva er høyt?", "output": "Fjellet."}, PLACE)
    example = encode_messages(messages, "norwai-en", tokenizer, bos=True)
    taught = [i for i, learn in zip(example.ids, example.learn, strict=True) if learn]
    assert taught[-1] == tokenizer.eos_id
    assert tokenizer.decode(taught[:-1]) == "Fjellet."
    asked = [i for i, learn in zip(example.ids, example.learn, strict=True) if not learn]
    assert asked == [tokenizer.bos_id, *tokenizer.encode("Hva er høyt?\n\nAnswer:")]
    # The same pieces as in the whole text: one space stands between prompt and answer.
    assert asked[1:] + taught[:-1] == tokenizer.encode("Hva er høyt?\n\nAnswer: Fjellet.")
    both = encode_messages(messages, "norwai-en", tokenizer, bos=False, loss_on_prompt=True)
    assert all(both.learn) and both.ids == example.ids[1:]


def test_conversations_repeat_the_template(tokenizer_dir: Path) -> None:
    tokenizer = load_tokenizer(tokenizer_dir)
    talk = [
        {"role": "user", "content": "Hei"}, {"role": "assistant", "content": "Hei hei"},
        {"role": "user", "content": "Ha det"}, {"role": "assistant", "content": "Morna"},
    ]  # fmt: skip
    example = encode_messages(
        record_messages({"messages": talk}, PLACE), "norwai", tokenizer, bos=False
    )
    end = tokenizer.eos_id
    assert example.ids.count(end or 0) == 2
    middle = example.ids.index(end or 0) + 1
    assert tokenizer.decode(example.ids[middle:-1]) == "\n\nHa det\n\nSvar: Morna"
    first = middle - 1 - len(tokenizer.encode("Hei hei"))
    assert example.learn[first:middle] == [True] * (middle - first)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"text": "a"}, "no instruction and answer"),
        ({"Instruksjon": "a", "Output": " "}, 'field "Output" is empty'),
        ({"messages": []}, "no list of messages"),
        ({"messages": [{"role": "user", "content": "a"}]}, "must end with the assistant"),
        ({"messages": [{"role": "bruker", "content": "a"}]}, 'needs a "role"'),
    ],
)
def test_bad_records_are_named_with_their_line(record: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        record_messages(record, PLACE)
    assert str(raised.value).startswith("data.jsonl:7: ")


def test_long_records_stop_are_left_out_or_cut_but_never_lose_the_whole_answer(
    base_model: Path, tmp_path: Path
) -> None:
    file = tmp_path / "long.jsonl"
    long_answer = {"prompt": "Fortell", "completion": "snøen smelter " * 60}
    long_prompt = {"prompt": "snøen smelter " * 60, "completion": "Ja"}
    short = {"prompt": "Hei", "completion": "Hei"}
    file.write_text("".join(json.dumps(r) + "\n" for r in (short, long_answer)))
    console, place = Console.silent(), Placement()
    with pytest.raises(DataError, match=r"long.jsonl:2: record has \d+ tokens, a row 96"):
        plan_sft(options(file, base_model, tmp_path / "o"), console, place)
    plan = plan_sft(options(file, base_model, tmp_path / "o", too_long="skip"), console, place)
    assert len(plan.train.bounds) == 1 and plan.counts == {"records": 2, "too_long": 1}
    plan = plan_sft(options(file, base_model, tmp_path / "o", too_long="truncate"), console, place)
    assert len(plan.train.bounds) == 2 and len(plan.train.tokens) > 97
    file.write_text(json.dumps(long_prompt) + "\n")
    with pytest.raises(DataError, match="nothing of the answer would be left"):
        plan_sft(options(file, base_model, tmp_path / "o", too_long="truncate"), console, place)
    file.write_text("")
    with pytest.raises(DataError, match="no instruction records"):
        plan_sft(options(file, base_model, tmp_path / "o"), console, place)
    with pytest.raises(UsageError, match="--merge goes with --lora"):
        sft(options(file, base_model, tmp_path / "o", merge=True), console)
