"""What the chat needs of an engine: it turns a prompt into a stream of text.

Three exist: `gguf_engine` (llama.cpp through xllamacpp), `huggingface_engine` (transformers) and
`url_engine` (a server); `opening` chooses among them. Templates live in `prompting`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from norcli.errors import DataError, UsageError

REPEAT_WINDOW = 64
LARGEST_DEFAULT_CONTEXT = 4096
# Stands for the context of a server that does not tell it.
UNKNOWN_CONTEXT = 1 << 20


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen; the filters apply in the order of the fields below.

    Attributes:
        repeat_penalty: Divides positive and multiplies negative logits of the last
            `REPEAT_WINDOW` tokens; 1 for none.
        top_k: Keep this many likeliest.
        top_p: Keep the smallest set with this probability.
        min_p: Drop what is less likely than this part of the likeliest.
        temperature: Divides the logits; 0 takes the likeliest.
        max_new_tokens: Longest answer.
        think_tokens: Longest draft before it, which is then ended; None for no such limit, and
            a draft that comes all the same counts as answer.
        seed: Of the random choice; an answer depends on it and the prompt alone.
    """

    repeat_penalty: float = 1.0
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    temperature: float = 0.0
    max_new_tokens: int = 512
    think_tokens: int | None = None
    seed: int = 0

    @property
    def most_tokens(self) -> int:
        """Tokens of the draft, its two marks and the answer at most."""
        if self.think_tokens is None:
            return self.max_new_tokens
        return self.think_tokens + 2 + self.max_new_tokens


@dataclass(slots=True)
class GenerationCounts:
    """What an engine counted while it answered.

    Attributes:
        prompt_tokens: Tokens given.
        new_tokens: Tokens made, the end token not counted.
        draft_tokens: How many of them were a draft.
        prompt_seconds: Time to the first token.
        seconds: Time of the whole answer.
        finished: Whether the model ended the answer itself, rather than a limit or a person.
        is_exact: Whether tokens were counted; False where a server has not told them, and
            pieces of text stand for them.
    """

    prompt_tokens: int = 0
    new_tokens: int = 0
    draft_tokens: int = 0
    prompt_seconds: float = 0.0
    seconds: float = 0.0
    finished: bool = False
    is_exact: bool = True

    @property
    def tokens_per_second(self) -> float:
        """Tokens a second after the first."""
        elapsed = self.seconds - self.prompt_seconds
        return max(self.new_tokens - 1, 0) / elapsed if elapsed > 0 else 0.0


class ContextFullError(DataError):
    """A server says that a conversation is longer than its context."""


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What is known of a model before its weights are read; made without torch or llama.cpp.

    Attributes:
        path: As the user gave it.
        engine: ``gguf``, ``hf`` or ``url``.
        architecture: As the file names it.
        context_tokens: Longest context it was made for.
        template: Key of `norcli.training.templates.TEMPLATES` it was tuned with, if any.
        chat_template: Jinja text stored with it, if any.
    """

    path: str
    engine: str
    architecture: str
    context_tokens: int
    template: str | None
    chat_template: str | None

    @property
    def has_tokens(self) -> bool:
        """Whether prompts are token ids here; a server keeps its tokens to itself."""
        return self.engine != "url"


class Vocabulary(Protocol):
    """The part of an engine that prompts are built with."""

    bos_id: int | None
    begins_with_bos: bool
    eos_id: int | None
    control_texts: Sequence[str]
    think_ids: tuple[int, int] | None

    def encode(self, text: str, control: bool = False) -> list[int]:
        """Return the ids of a text, without a begin token.

        Args:
            text: Any text.
            control: Whether the spelling of a control token stands for that token; never set
                for text that a user or a model wrote.
        """
        ...

    def spelling(self, token_id: int) -> str:
        """Return how the vocabulary writes a token, ``<s>``."""
        ...


class Engine(Protocol):
    """A loaded model."""

    description: ModelDescription
    context_tokens: int

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's tokenizer."""
        ...

    def generate(
        self, ids: Sequence[Any], sampling: Sampling, stopped: Callable[[], bool]
    ) -> Generator[str]:
        """Yield the answer's text as it comes, control tokens left out, drafts as `Thought`.

        Closing the generator ends the answer.

        Args:
            ids: The prompt's token ids; for a server, what `prompting` leaves to it.
            sampling: How tokens are chosen.
            stopped: Asked between tokens; True ends the answer.
        """
        ...

    def generate_together(
        self,
        requests: Sequence[tuple[Sequence[Any], Sampling]],
        on_text: Callable[[int, str], bool],
    ) -> list[GenerationCounts]:
        """Answer several prompts at once; return the counts of each.

        Args:
            requests: Prompts and how their tokens are chosen.
            on_text: Called with a request's position and each piece of its answer; True ends
                that answer.
        """
        ...

    def set_adapter(self, path: str | None) -> None:
        """Answer with a LoRA adapter from now on, or without.

        Args:
            path: As for ``--adapter``; None for the model alone.

        Raises:
            NorcliError: It is no adapter of this model; the one before stays.
        """
        ...

    @property
    def counts(self) -> GenerationCounts:
        """Counts of the last answer, complete when its iterator is exhausted or closed."""
        ...

    def close(self) -> None:
        """Let go of the model."""
        ...


def context_size(description: ModelDescription, wanted: int | None) -> int:
    """Return the tokens of context to use.

    Raises:
        UsageError: More are wanted than the model was made for.
    """
    if description.engine == "url":
        return wanted or description.context_tokens
    if wanted is None:
        return min(description.context_tokens, LARGEST_DEFAULT_CONTEXT)
    check_context(wanted, description.context_tokens)
    return wanted


def check_context(wanted: int, longest: int) -> None:
    """Check a value of ``--context`` against what a model was made for.

    Raises:
        UsageError: It is more.
    """
    if wanted > longest:
        raise UsageError(f"--context: {wanted} is above the model's {longest} tokens")
