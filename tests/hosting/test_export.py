"""Exports: templates as Go and Jinja render them, files by their own parsers, refusals."""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from chats import CHATS, go_data
from go_templates import render
from make_golden import GOLDEN, render_in_go

from norcli.cli.main import main
from norcli.training.conversation import NAMES, conversation, jinja_template, recognize
from norcli.training.templates import chat_template_jinja

EOS = "</s>"


def render_jinja(source: str, chat: Any) -> str:
    """Render as transformers does."""
    from transformers.utils.chat_template_utils import _compile_jinja_template

    return str(_compile_jinja_template(source).render(messages=chat, bos_token="", eos_token=EOS))


@pytest.mark.parametrize("chat", CHATS)
@pytest.mark.parametrize("name", NAMES)
def test_go_and_jinja_say_the_same(name: str, chat: str) -> None:
    form = conversation(name, EOS)
    golden = json.loads((GOLDEN / "go.json").read_text(encoding="utf-8"))[name]
    assert form.go is not None
    assert hashlib.sha256(form.go.encode()).hexdigest() == golden["sha256"], "run make_golden.py"
    wanted = golden["texts"][chat]
    assert render_jinja(form.jinja, CHATS[chat]) == wanted
    assert render(form.go, go_data(CHATS[chat])) == wanted


@pytest.mark.skipif(shutil.which("go") is None, reason="no Go here; the golden file has its texts")
@pytest.mark.parametrize("name", NAMES)
def test_go_itself_renders_the_golden_texts(name: str, tmp_path: Path) -> None:
    form = conversation(name, EOS)
    golden = json.loads((GOLDEN / "go.json").read_text(encoding="utf-8"))[name]
    chat = "turns and system"
    assert form.go is not None
    assert render_in_go(form.go, go_data(CHATS[chat]), tmp_path) == golden["texts"][chat]


def test_stored_templates_are_recognized() -> None:
    for name in NAMES:
        assert recognize(jinja_template(name)) == name
    assert recognize(chat_template_jinja("norwai", bos=False)) == "norwai"
    assert recognize("{{ messages }}") is None


def parse_modelfile(text: str) -> list[tuple[str, str]]:
    """Read instructions as Ollama's parser does: a word, then a text, maybe in quotes."""
    found = re.findall(r'^([A-Z]+) (?:"""(.*?)"""|"(.*?)"|(.*?))$', text, re.DOTALL | re.MULTILINE)
    return [(word, long or quoted or plain) for word, long, quoted, plain in found]


@pytest.fixture()
def gguf(served: Path, tmp_path: Path) -> Path:
    path = tmp_path / "min modell.gguf"
    shutil.copy(served, path)
    return path


def export(*words: str) -> int:
    return main(["export", *words, "-q"])


def test_a_modelfile_for_ollama(gguf: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = export(str(gguf), "--for", "ollama", "-o", str(out), "--system", "Vær\nkort.",
                  "--context", "64", "--temperature", "0.25")  # fmt: skip
    assert code == 0
    found = parse_modelfile((out / "Modelfile").read_text(encoding="utf-8"))
    assert found == [
        ("FROM", str(gguf.resolve())), ("TEMPLATE", conversation("norwai", EOS).go),
        ("SYSTEM", "Vær\nkort."), ("PARAMETER", 'stop "</s>"'), ("PARAMETER", "num_ctx 64"),
        ("PARAMETER", "temperature 0.25"),
    ]  # fmt: skip
    assert export(str(gguf), "--for", "ollama", "-o", str(out)) == 73
    assert export(str(gguf), "--for", "ollama", "-o", str(out), "--overwrite") == 0


def test_a_template_of_its_own_is_refused_unless_one_is_named(served: Path, tmp_path: Path) -> None:
    raw = served.read_bytes()
    own = tmp_path / "own.gguf"
    own.write_bytes(raw.replace(b"trim", b"safe"))  # the same length, another template
    assert export(str(own), "--for", "ollama", "-o", str(tmp_path / "a")) == 65
    assert export(str(own), "--for", "ollama", "--template", "mistral", "-o",
                  str(tmp_path / "a")) == 0  # fmt: skip
    assert "[INST]" in (tmp_path / "a" / "Modelfile").read_text()
    # LM Studio reads Jinja: there it is kept.
    assert export(str(own), "--for", "lmstudio", "-o", str(tmp_path / "b")) == 0
    defaults = next((tmp_path / "b").rglob("*.json"))
    assert "safe" in defaults.read_text()


@pytest.mark.parametrize("name", ["-x", ".x", "a/b", "a\nb", " "])
@pytest.mark.parametrize("program", ["ollama", "lmstudio"])
def test_names_that_no_program_takes_are_refused(
    gguf: Path, tmp_path: Path, name: str, program: str
) -> None:
    code = export(str(gguf), "--for", program, "--name", name, "-o", str(tmp_path / "out"))
    assert code == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("program", ["ollama", "vllm", "lmstudio"])
def test_paths_that_are_not_utf8_are_refused(served: Path, tmp_path: Path, program: str) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff"))
    shutil.copytree(served.parent, folder)
    model = folder if program == "vllm" else folder / served.name
    assert export(str(model), "--for", program, "--name", "m", "-o", str(tmp_path / "out")) == 65
    assert not (tmp_path / "out").exists()


def test_an_end_token_with_a_quote_is_refused_for_ollama(served: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd.gguf"
    odd.write_bytes(served.read_bytes().replace(b"</s>", b'<"s>'))
    assert export(str(odd), "--for", "ollama", "-o", str(tmp_path / "a")) == 65
    assert export(str(odd), "--for", "lmstudio", "-o", str(tmp_path / "b")) == 0


def test_a_folder_for_lm_studio(gguf: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert export(str(gguf), "--for", "lmstudio", "-o", str(out), "--system", "Kort!") == 0
    link = out / "models" / "norcli" / "min modell" / "min modell.gguf"
    assert link.is_symlink()
    assert link.resolve() == gguf.resolve()
    kept = out / ".internal/user-concrete-model-default-config/norcli/min modell"
    content = json.loads((kept / "min modell.gguf.json").read_text(encoding="utf-8"))
    fields = {field["key"]: field["value"] for field in content["operation"]["fields"]}
    template = fields["llm.prediction.promptTemplate"]
    assert template["jinjaPromptTemplate"]["template"] == jinja_template("norwai")
    assert template["stopStrings"] == [EOS]
    assert fields["llm.prediction.systemPrompt"] == "Kort!"
    assert content["load"]["fields"] == [{"key": "llm.load.contextLength", "value": 128}]


HOSTILE = "a b'c\"; touch HACKED; $(touch HACKED) `touch HACKED` %h æ"


@pytest.fixture()
def hostile(served: Path, tmp_path: Path) -> Path:
    folder = tmp_path / HOSTILE
    shutil.copytree(served.parent, folder)
    return folder


def stand_in(tmp_path: Path, *names: str) -> dict[str, str]:
    """Put programs on the PATH that write down their arguments, one a line."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    script = '#!/bin/sh\nprintf "%s\\n" "$@" > "$SEEN"\n'
    for name in names:
        (folder / name).write_text(script if name == "vllm" else '#!/bin/sh\nexec "$@"\n')
        (folder / name).chmod(0o755)
    seen = tmp_path / "seen"
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "SEEN": str(seen)}


@pytest.mark.parametrize("program", ["serve.sh", "vllm.sbatch"])
def test_vllm_gets_its_words_whole_and_runs_nothing_else(
    hostile: Path, tmp_path: Path, program: str
) -> None:
    out = tmp_path / "out"
    assert export(str(hostile), "--for", "vllm", "--name", HOSTILE, "-o", str(out)) == 0
    environment = stand_in(tmp_path, "vllm", "srun")
    work = tmp_path / "work"
    work.mkdir()
    subprocess.run(["bash", str(out / program)], env=environment, cwd=work, check=True)
    words = Path(environment["SEEN"]).read_text(encoding="utf-8").splitlines()
    assert words[:4] == ["serve", str(hostile.resolve()), "--served-model-name", HOSTILE]
    given = dict(zip(words[2::2], words[3::2], strict=True))
    assert given["--max-model-len"] == "128"
    assert given["--tensor-parallel-size"] == "1"
    assert Path(given["--chat-template"]).read_text() == jinja_template("norwai")
    assert not list(tmp_path.rglob("HACKED"))
    if program == "vllm.sbatch":
        head = [line for line in (out / program).read_text().splitlines() if "#SBATCH" in line]
        assert all(re.fullmatch(r"#SBATCH --[a-z-]+=[\w%.:-]+", line) for line in head)


def unit_words(line: str) -> list[str]:
    """Split a command line as systemd does: quotes and backslashes as C, then % and $ undone."""
    return [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(line)]


def test_a_systemd_unit_holds_the_same_command(hostile: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert export(str(hostile), "--for", "vllm", "-o", str(out), "--port", "9000") == 0
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((out / "vllm.service").read_text(encoding="utf-8"))
    words = unit_words(unit["Service"]["ExecStart"])
    assert words[:4] == ["/usr/bin/env", "vllm", "serve", str(hostile.resolve())]
    assert words[words.index("--port") + 1] == "9000"
    assert "\n" not in unit["Unit"]["Description"]
    if shutil.which("systemd-analyze"):
        subprocess.run(["systemd-analyze", "verify", "--man=no", str(out / "vllm.service")],
                       check=True)  # fmt: skip


def test_scripts_are_clean(served: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert export(str(served.parent), "--for", "vllm", "-o", str(out)) == 0
    for name in ("serve.sh", "vllm.sbatch"):
        subprocess.run(["bash", "-n", str(out / name)], check=True)
        if shutil.which("shellcheck"):
            subprocess.run(["shellcheck", str(out / name)], check=True)


def test_gpus_follow_from_weights_and_context(served: Path, tmp_path: Path) -> None:
    """The report's 24B model: 47.7 GB of weights, 40k tokens of 160 KiB."""
    from norcli.hosting import source, vllm
    from norcli.hosting.options import ExportOptions
    from norcli.quantize.model_config import ModelConfig

    config = ModelConfig(
        path=tmp_path, model_class="MistralForCausalLM", architecture="llama", hidden_size=5120,
        num_hidden_layers=40, num_attention_heads=32, num_key_value_heads=8,
        intermediate_size=32768, max_position_embeddings=40960, norm_epsilon=1e-5,
        tie_word_embeddings=False, head_dim=128,
    )  # fmt: skip
    model = source.DirectoryModel(
        tmp_path, "m", config, int(47.7e9), "bfloat16", None, EOS, is_mistral=True
    )

    def count(gpu: str, context: int | None = None) -> int:
        options = ExportOptions(model="m", for_="vllm", gpu=gpu, context=context)
        return vllm.tensor_parallel(options, model)

    assert (count("h200"), count("h100"), count("l40s"), count("l4")) == (1, 1, 2, 4)
    words = vllm.arguments(ExportOptions(model="m", for_="vllm"), model, tmp_path)
    assert words[-8:] == ["--tokenizer-mode", "mistral", "--config-format", "mistral",
                          "--load-format", "mistral", "--reasoning-parser", "mistral"]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code"),
    [(["none.gguf", "--for", "ollama"], 66), ([".", "--for", "ollama"], 65),
     (["{gguf}", "--for", "vllm"], 65), (["{gguf}"], 2), (["{gguf}", "--for", "vlm"], 2),
     (["{gguf}", "--for", "ollama", "--context", "9999"], 2),
     (["{gguf}", "--for", "ollama", "--name", "../x"], 2),
     (["{gguf}", "--for", "ollama", "--system", '"""'], 2),
     (["{gguf}", "--for", "ollama", "-n"], 0)],
)  # fmt: skip
def test_refusals(
    served: Path, words: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert export(*(word.replace("{gguf}", str(served)) for word in words)) == code
    assert not list(tmp_path.iterdir())
