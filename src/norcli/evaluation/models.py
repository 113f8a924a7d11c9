"""What evaluation needs of a model, and opening one: a Hugging Face directory or a GGUF file.

Between the tasks and the engines. An engine writes greedy answers, gives log-probabilities of
continuations and likelihoods of texts; everything else is the same for all of them. No torch
here: the engines are imported when a model is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from norcli.console import Console
from norcli.errors import DataError, InputMissingError
from norcli.evaluation.options import EvalOptions

Advance = Callable[[float], None]


@dataclass(frozen=True)
class Answer:
    """A greedy answer.

    Attributes:
        text: What the model wrote, without the end-of-text token and what follows a stop text.
        truncated: Whether the prompt was cut in its middle to fit the context.
    """

    text: str
    truncated: bool = False


@dataclass(frozen=True)
class Continuations:
    """Log-probabilities, in nats, of several continuations of one prompt."""

    log_probs: list[float]
    truncated: bool = False


@dataclass(frozen=True)
class Likelihood:
    """How a model predicts a text.

    Without a begin piece the first token has no context and is not predicted; the counts leave
    it out.

    Attributes:
        nll: Sum of negative log-likelihoods, in nats.
        tokens: Tokens predicted.
        words: Words between spaces, of the predicted part.
        bytes: UTF-8 bytes of the predicted part.
    """

    nll: float
    tokens: int
    words: int
    bytes: int


class LanguageModel(Protocol):
    """A model under evaluation."""

    engine: str
    context: int
    template: str | None

    def generate(
        self, prompts: Sequence[str], max_new_tokens: int, stop: Sequence[str], advance: Advance
    ) -> list[Answer]:
        """Return the greedy answer to each prompt."""
        ...

    def continuations(
        self, requests: Sequence[tuple[str, Sequence[str]]], advance: Advance
    ) -> list[Continuations]:
        """Return the log-probability of each continuation of each prompt."""
        ...

    def likelihoods(self, texts: Sequence[str], advance: Advance) -> list[Likelihood]:
        """Return how well each text is predicted."""
        ...


def engine_of(path: str, engine: str = "auto") -> str:
    """Return ``hf`` or ``gguf`` for a model, by what lies at the path.

    Raises:
        InputMissingError: There is nothing at the path.
        DataError: It is neither a GGUF file nor a directory with config.json.
    """
    place = Path(path)
    if not place.exists():
        raise InputMissingError("no such model", path=path)
    if engine == "gguf" or (engine == "auto" and place.is_file()):
        if place.is_dir():
            raise DataError("is a directory, not a GGUF file", path=path)
        with place.open("rb") as stream:
            if stream.read(4) != b"GGUF":
                raise DataError("is no GGUF file", path=path)
        return "gguf"
    if not place.is_dir():
        raise DataError("is a file; expected a Hugging Face directory", path=path)
    for name, hint in (
        ("config.json", "norcli pretrain and sft write such directories"),
        ("tokenizer", "copy tokenizer.model or tokenizer.json into it"),
    ):
        if name == "tokenizer":
            present = any((place / f"tokenizer{end}").is_file() for end in (".model", ".json"))
        else:
            present = (place / name).is_file()
        if not present:
            raise DataError(f"model directory has no {name}", path=path, hint=hint)
    return "hf"


def open_model(options: EvalOptions, console: Console) -> LanguageModel:
    """Load the model of the options.

    Raises:
        InputMissingError: There is no such model.
        DataError: It is damaged or incomplete.
        UnavailableError: The engine's package, or the device, is not there.
    """
    if engine_of(options.model, options.engine) == "gguf":
        from norcli.evaluation.gguf_model import GgufModel

        return GgufModel(Path(options.model), options, console)
    from norcli.evaluation.huggingface_model import HuggingFaceModel

    return HuggingFaceModel(Path(options.model), options, console)


def cut_at_stop(text: str, stop: Sequence[str]) -> str:
    """Return an answer up to the first stop text that follows its first word, stripped."""
    text = text.lstrip()
    ends = [place for word in stop if (place := text.find(word)) >= 0]
    return text[: min(ends, default=len(text))].strip()
