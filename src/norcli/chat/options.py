"""Options of ``norcli chat``: the model, the words around a prompt, how tokens are chosen.

Standard library only, as all options. What they mean to an engine stands in
`norcli.chat.engines`; the defaults that depend on where the answer goes are worked out here.
"""

from __future__ import annotations

from dataclasses import dataclass

from norcli.errors import UsageError
from norcli.options import INPUT, OUTPUT, GeneralOptions, option

PROMPT = "Prompt"
SAMPLING = "Sampling"
MODEL = "Model"
SESSION = "Session"

TEMPLATE_CHOICES = ("auto", "norwai", "norwai-en", "model", "none")
THEME_CHOICES = ("terminal", "dark", "light", "mono")
TERMINAL_TEMPERATURE = 0.7
MODES = ("answer", "completion", "short", "long")
SHORT_THINK_TOKENS = 256


@dataclass(kw_only=True)
class ChatOptions(GeneralOptions):
    """Options of ``norcli chat``."""

    model: str = option(
        help="The model: a GGUF file, a Hugging Face directory, a server's URL, or a name from "
        "chat.toml", group=INPUT, positional=True,
        metavar="MODEL", complete="file:.gguf",
    )  # fmt: skip
    inputs: list[str] = option(
        default_factory=list, help="With --jsonl: files of records, - for standard input; "
        "with --resume on a terminal: a saved conversation's name or number",
        group=INPUT, positional=True, metavar="FILE", complete="file:.jsonl",
        default_text="standard input", in_config=False,
    )  # fmt: skip
    jsonl: bool = option(
        False, help='Read records with "prompt" or "messages" and add "completion" to each',
        group=INPUT,
    )  # fmt: skip
    on_bad_record: str = option(
        "stop", help="With --jsonl: what to do with a record that cannot be read", group=INPUT,
        choices=("stop", "skip"),
    )  # fmt: skip
    batch_size: int = option(
        1, help="With --jsonl: answer this many records at once", group=INPUT, metavar="N",
        minimum=1, maximum=256,
    )  # fmt: skip
    resume: bool = option(
        False, help="Go on with the newest saved conversation, or the one that FILE names; with "
        "--jsonl where a killed run stopped", group=INPUT, in_config=False,
    )  # fmt: skip
    limit: int | None = option(
        None, help="With --jsonl: answer at most this many records", group=INPUT, minimum=1
    )
    output: str = option(
        "-", help="File for the answer or the records, - for standard output", group=OUTPUT,
        short="o", metavar="FILE", complete="file",
    )  # fmt: skip
    overwrite: bool = option(
        False, help="Replace an output that exists", group=OUTPUT, in_config=False
    )

    prompt: str | None = option(None, help="Answer this one prompt and end", group=PROMPT)
    input_text: str | None = option(
        None, help="Text the instruction is about: the input field of the templates",
        group=PROMPT, metavar="TEXT",
    )  # fmt: skip
    system: str | None = option(
        None, help="System message: a paragraph before the first request", group=PROMPT
    )
    template: str = option(
        "auto", help="Words around a prompt; auto takes what is stored with the model",
        group=PROMPT, choices=TEMPLATE_CHOICES,
    )  # fmt: skip
    mode: str = option(
        "answer", help="completion goes on with the text as it is; short and long think first",
        group=PROMPT, choices=MODES,
    )  # fmt: skip
    think_tokens: int = option(
        SHORT_THINK_TOKENS, help="With --mode short: longest draft in tokens", group=PROMPT,
        metavar="N", minimum=0,
    )  # fmt: skip

    temperature: float | None = option(
        None, help="Randomness of the choice of tokens; 0 always takes the likeliest",
        group=SAMPLING, minimum=0.0, maximum=10.0,
        default_text=f"{TERMINAL_TEMPERATURE} in a session on the terminal, else 0",
    )  # fmt: skip
    top_k: int = option(
        40, help="Choose among this many likeliest tokens", group=SAMPLING, minimum=1
    )
    top_p: float = option(
        0.95, help="Choose among the likeliest tokens that have this probability together",
        group=SAMPLING, minimum=0.0, maximum=1.0,
    )  # fmt: skip
    min_p: float = option(
        0.05, help="Leave out tokens less likely than this part of the likeliest", group=SAMPLING,
        minimum=0.0, maximum=1.0,
    )  # fmt: skip
    repeat_penalty: float = option(
        1.0, help="Divide the scores of the last 64 tokens by this; 1 for none", group=SAMPLING,
        minimum=0.1, maximum=10.0,
    )  # fmt: skip
    max_new_tokens: int = option(
        512, help="Longest answer in tokens", group=SAMPLING, metavar="N", minimum=1
    )
    stop: list[str] = option(
        default_factory=list, help="End the answer before any of these texts", group=SAMPLING
    )

    engine: str = option(
        "auto", help="Program that runs the model; auto goes by the kind of model", group=MODEL,
        choices=("auto", "gguf", "hf", "url"),
    )  # fmt: skip
    adapter: str | None = option(
        None, help="LoRA adapter to answer with: a directory, for a GGUF model a GGUF adapter",
        group=MODEL, metavar="DIR", complete="file",
    )  # fmt: skip
    model_name: str | None = option(
        None, help="What the server at a URL calls the model", group=MODEL, metavar="NAME",
        default_text="its only one",
    )  # fmt: skip
    api_key_file: str | None = option(
        None, help="File with the server's key; without it NORCLI_API_KEY is used", group=MODEL,
        metavar="FILE", complete="file",
    )  # fmt: skip
    timeout: float = option(
        120.0, help="Seconds without a byte after which a server counts as gone", group=MODEL,
        metavar="SECONDS", minimum=0.1,
    )  # fmt: skip
    context: int | None = option(
        None, help="Tokens that prompt and answer may have together", group=MODEL, minimum=16,
        default_text="the model's, at most 4096",
    )  # fmt: skip

    save: bool = option(
        True, help="Keep the conversation under XDG_STATE_HOME (sessions on a terminal)",
        group=SESSION,
    )  # fmt: skip
    load: str | None = option(
        None, help="Go on with a conversation saved before", group=SESSION, metavar="FILE",
        complete="file:.jsonl",
    )  # fmt: skip
    theme: str = option(
        "terminal", help="Look of answers on a terminal; terminal uses its own colours",
        group=SESSION, choices=THEME_CHOICES,
    )  # fmt: skip
    markdown: bool = option(
        True, help="Render Markdown in answers (sessions on a terminal with colours)",
        group=SESSION,
    )  # fmt: skip
    speed: bool = option(False, help="Tell tokens per second after each answer", group=SESSION)

    def check(self) -> None:
        """Check what goes together.

        Raises:
            UsageError: An option stands without the one it belongs to.
        """
        for name in ("prompt", "input_text", "system"):
            if any("\ud800" <= character <= "\udfff" for character in getattr(self, name) or ""):
                raise UsageError(f"--{name.replace('_', '-')}: not UTF-8")
        if self.inputs and not self.jsonl and not self.resume:
            raise UsageError("files are read with --jsonl only", hint="give a prompt with --prompt")
        if self.batch_size > 1 and not self.jsonl:
            raise UsageError("--batch-size goes with --jsonl")
        if self.resume and not self.jsonl and len(self.inputs) > 1:
            raise UsageError("--resume goes on with one conversation")
        if self.resume and self.load is not None:
            raise UsageError("--load and --resume both name a conversation; give one of them")
