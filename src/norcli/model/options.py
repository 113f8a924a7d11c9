"""Options of ``norcli models`` and its subcommands; standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from norcli.options import GeneralOptions, option

MODEL = "Model"
MACHINE = "Machine"
TOPICS = (
    "light", "comprehension", "long-context", "assistant", "laptop", "reasoning",
    "minority-languages", "adaptation", "serving", "tests",
)  # fmt: skip


@dataclass(kw_only=True)
class ModelsOptions(GeneralOptions):
    """Options of ``norcli models``."""


@dataclass(kw_only=True)
class ModelsShowOptions(GeneralOptions):
    """Options of ``norcli models show``."""

    model: str = option(
        help="Name of a preset, or a directory with a config.json", group=MODEL, positional=True,
        metavar="MODEL", complete="preset", in_config=False,
    )  # fmt: skip
    context: int | None = option(
        None, help="Tokens of context to work out memory for", group=MODEL, minimum=1,
        default_text="what the model was trained on",
    )  # fmt: skip
    vocab_size: int | None = option(
        None, help="Count with this vocabulary instead of the model's own", group=MODEL, minimum=1
    )


@dataclass(kw_only=True)
class ModelsAdviseOptions(GeneralOptions):
    """Options of ``norcli models advise``."""

    use: list[str] = option(
        default_factory=list, help="What the model is for", group=MODEL, choices=TOPICS,
    )  # fmt: skip
    memory: float | None = option(
        None, help="Memory of the machine or GPU in GB: name the files that fit", group=MACHINE,
        minimum=0.1, metavar="GB",
    )  # fmt: skip
    context: int | None = option(
        None, help="Tokens of context that must fit beside the weights", group=MACHINE, minimum=1,
        default_text="4096, or what the model has",
    )  # fmt: skip
