"""``norcli chat``: which kind of chat the options and the terminal ask for, and its start.

Only this file looks at the terminal and at the environment; the conversation itself is in
`norcli.chat`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from norcli.chat.options import TERMINAL_TEMPERATURE, ChatOptions
from norcli.cli.command import Command, Outcome, write_plan
from norcli.console import Console
from norcli.errors import DataError, UsageError
from norcli.streams import STDIN_NAME, atomic_file, check_output, open_input, stdout_is_terminal

if TYPE_CHECKING:
    from norcli.chat.engines import ModelDescription


def run(options: ChatOptions, console: Console) -> Outcome:
    """Describe the model, then answer records, one prompt, or a person."""
    from norcli.chat.aliases import resolve_alias
    from norcli.chat.engines import UNKNOWN_CONTEXT, context_size
    from norcli.chat.opening import describe_model
    from norcli.chat.prompting import choose_template

    options = resolve_alias(options, _config_file())
    options.check()
    check_output(options.output, options.overwrite)
    description = describe_model(options.model, options.engine)
    template = choose_template(options.template, description)
    context = context_size(description, options.context)
    is_session = not options.jsonl and options.prompt is None and sys.stdin.isatty()
    if options.resume and not options.jsonl and not is_session:
        raise UsageError("--resume is for sessions on a terminal, and for --jsonl")
    if options.temperature is None:
        options.temperature = TERMINAL_TEMPERATURE if is_session else 0.0
    if options.dry_run:
        plan = asdict(description) | {
            "template": template.name,
            "context_tokens": None if context == UNKNOWN_CONTEXT else context,
            "temperature": options.temperature,
        }  # fmt: skip
        plan["chat_template"] = description.chat_template is not None
        write_plan(plan, options.json)
        return Outcome(plan)
    if is_session:
        return _talk(options, description, console)
    return _answer(options, description, console)


def _config_file() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(home) / "norcli" / "chat.toml"


def _server_key(options: ChatOptions, description: ModelDescription) -> str | None:
    """Return the key for a server, from a file or the environment, never the command line."""
    if description.engine != "url":
        return None
    if options.api_key_file is None:
        return os.environ.get("NORCLI_API_KEY", "").strip() or None
    with open_input(options.api_key_file) as stream:
        key = stream.read(1 << 16).split(b"\n")[0].strip()
    if not key or not key.isascii() or b"\0" in key:
        raise DataError("holds no key in its first line", path=options.api_key_file)
    return key.decode("ascii")


def _read_text(what: str) -> str:
    data = open_input("-").read()
    try:
        text = data.decode("utf-8").rstrip("\n")
    except UnicodeDecodeError as error:
        raise DataError("not UTF-8", path=STDIN_NAME,
                        hint="convert it first: iconv -f LATIN1 -t UTF-8") from error  # fmt: skip
    if not text.strip():
        raise DataError(f"the {what} is empty", path=STDIN_NAME)
    return text


def _answer(options: ChatOptions, description: ModelDescription, console: Console) -> Outcome:
    from norcli.chat.answers import answer_records, write_answer
    from norcli.chat.start import open_session

    key = _server_key(options, description)
    if options.jsonl:
        with open_session(options, console, description=description, key=key) as new_session:
            totals = answer_records(options, new_session, console)
        stats = totals.as_stats()
        summary = (f"{totals.answers} answers, {totals.new_tokens} tokens, "
                   f"{stats['tokens_per_second']} tokens/s")  # fmt: skip
        return Outcome(stats, summary)
    prompt = options.prompt if options.prompt is not None else _read_text("prompt")
    if not prompt.strip():
        raise DataError("the prompt is empty")
    extra = _read_text("input text") if options.input_text == "-" else options.input_text
    with (
        open_session(options, console, description=description, key=key) as new_session,
        atomic_file(options.output, overwrite=options.overwrite) as stream,
    ):
        totals = write_answer(new_session(), prompt, extra, stream, console)
    stats = totals.as_stats()
    told = f"{totals.new_tokens} tokens, {stats['tokens_per_second']} tokens/s"
    return Outcome(stats, told if options.speed else "")


def _talk(options: ChatOptions, description: ModelDescription, console: Console) -> Outcome:
    from norcli.chat.talk import Surroundings, talk

    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    can_render = stdout_is_terminal() and console.is_terminal and console.uses_color
    key = _server_key(options, description)
    surroundings = Surroundings(Path(home) / "norcli", can_render, key)
    return Outcome(talk(options, description, surroundings, console).as_stats())


COMMANDS = {
    "chat": Command(
        options=ChatOptions,
        run=run,
        description="Asks a model, in the words it was tuned with. MODEL is a GGUF file, run by "
        "llama.cpp (needs xllamacpp); or a Hugging Face directory with safetensors, run by "
        "transformers (needs torch), where a LoRA adapter's directory is joined with its base "
        "model; or the URL of an OpenAI-compatible server; or a name from "
        "XDG_CONFIG_HOME/norcli/chat.toml.\n\n"
        "On a terminal it is a session: type a request, read the answer, /help lists the "
        "commands. In a pipe the prompt is read from standard input and only the answer is "
        "written. With --jsonl each record is answered and keeps its fields. Outside a session "
        "the temperature is 0: the same prompt gives the same answer.",
        examples=(
            ("Talk with a model", "norcli chat model-Q4_K_M.gguf"),
            ("Ask one question", 'echo "Hva er Norges lengste elv?" | norcli chat model.gguf'),
            ("Ask about a text", "norcli chat M.gguf --prompt Oppsummer --input-text - < a.txt"),
            ("Answer many prompts, eight at once",
             "norcli chat M.gguf --jsonl in.jsonl -o out.jsonl --batch-size 8 --resume"),
            ("Ask a server", "norcli chat http://127.0.0.1:8080/v1 --prompt 'Hva er en fjord?'"),
        ),
    )
}  # fmt: skip
