"""The templates say what the report says, and the stored Jinja says the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jinja2
import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from norcli.errors import ConfigError, DataError
from norcli.training import templates

TALKS: list[list[dict[str, str]]] = [
    [{"role": "user", "content": "Hva er Norges lengste elv?"}],
    [{"role": "user", "content": " Oppsummer. ", "input": "En lang tekst.\n"}],
    [{"role": "user", "content": "Hei", "input": "N/A"}],
    [
        {"role": "system", "content": "Svar kort."},
        {"role": "user", "content": "Hva heter hovedstaden?"},
        {"role": "assistant", "content": " Oslo. "},
        {"role": "user", "content": "Og i Sverige?"},
    ],
]


def test_prompts_are_the_reports() -> None:
    assert templates.render_prompt("norwai", "Hva er Norges lengste elv?") == (
        "Hva er Norges lengste elv?\n\nSvar:"
    )
    assert templates.render_prompt("norwai-en", "Oppsummer.", "Tekst.") == (
        "Oppsummer.\n\nTekst.\nAnswer:"
    )
    assert templates.render_prompt("norwai-en", "Hva?", "N/A") == "Hva?\n\nAnswer:"


def test_turns_repeat_the_template_after_a_blank_line() -> None:
    assert templates.render_messages("norwai", TALKS[3], eos_token="</s>") == (
        "Svar kort.\n\nHva heter hovedstaden?\n\nSvar: Oslo.</s>\n\nOg i Sverige?\n\nSvar:"
    )


@pytest.mark.parametrize("trim", [True, False])
@pytest.mark.parametrize("talk", TALKS)
@pytest.mark.parametrize("name", list(templates.TEMPLATES))
def test_jinja_equals_the_python_rendering(
    name: str, talk: list[dict[str, str]], trim: bool
) -> None:
    environment: jinja2.Environment = ImmutableSandboxedEnvironment(
        trim_blocks=trim, lstrip_blocks=trim
    )
    compiled = environment.from_string(templates.chat_template_jinja(name))
    rendered = compiled.render(messages=talk, bos_token="<s>", eos_token="</s>")
    expected = templates.render_messages(name, talk, bos_token="<s>", eos_token="</s>")
    assert rendered == expected
    assert expected.endswith(templates.TEMPLATES[name].answer)


def test_template_travels_with_the_model(tmp_path: Path) -> None:
    assert templates.template_of(tmp_path) is None
    templates.store_template(tmp_path, "norwai-en")
    assert templates.template_of(tmp_path) == "norwai-en"
    assert "bos_token" not in (tmp_path / templates.CHAT_TEMPLATE_FILE).read_text()
    (tmp_path / templates.TOKENIZER_CONFIG).unlink()
    assert templates.template_of(tmp_path) == "norwai-en"
    (tmp_path / templates.CHAT_TEMPLATE_FILE).write_text("{{ messages }}")
    assert templates.template_of(tmp_path) is None


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ConfigError, match='unknown template "alpaca"'):
        templates.render_prompt("alpaca", "Hei")
    with pytest.raises(DataError, match='unknown role "bruker"'):
        templates.render_messages("norwai", [{"role": "bruker", "content": "Hei"}])


def test_templates_need_no_torch() -> None:
    code = "import sys, norcli.training.templates; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
