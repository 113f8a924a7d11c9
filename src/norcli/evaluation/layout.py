"""How prompts, continuations and long texts are laid out in tokens, the same for both engines.

Between the tokenizer and the model: where a continuation begins, what is cut from a prompt that
does not fit, and which windows a long text is read in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from norcli.errors import DataError
from norcli.evaluation.models import Likelihood

Encode = Callable[[str], list[int]]


@dataclass(frozen=True)
class Tree:
    """A prompt (the stem) with the continuations scored behind it (the branches).

    Attributes:
        stem: Tokens all continuations share, at least one.
        branches: Tokens of each continuation, at least one.
        truncated: Whether the stem was cut in its middle.
    """

    stem: list[int]
    branches: list[list[int]]
    truncated: bool

    @property
    def size(self) -> int:
        """Tokens the tree takes in one sequence; a branch's last one is never read."""
        return len(self.stem) + sum(len(branch) - 1 for branch in self.branches)


def lay_out_tree(
    prompt: str, words: Sequence[str], encode: Encode, prefix: list[int], start: int, context: int
) -> Tree:
    """Lay out a prompt and its continuations.

    Encoding prompt and continuation together gives the pieces the model would see; a piece that
    spans the seam belongs to the continuation, in all continuations alike.

    Args:
        prompt: The prompt; a space follows before each continuation. May be empty.
        words: The continuations.
        encode: From text to ids.
        prefix: The begin piece, or nothing.
        start: What stands in for a prompt where there is neither prompt nor begin piece.
        context: Most tokens of prompt and continuation.

    Raises:
        DataError: A continuation is empty, or longer than the context.
    """
    alone = prefix + encode(prompt)
    joined = [prefix + encode(f"{prompt} {word}" if prompt else word) for word in words]
    shared = min(_common(alone, ids) for ids in joined)
    shared = min(shared, *(len(ids) - 1 for ids in joined))
    branches = [ids[shared:] for ids in joined]
    if not all(branches):
        raise DataError("an answer to choose from is empty")
    stem = alone[:shared] or [start]
    room = context - max(len(branch) for branch in branches)
    if room < 1:
        raise DataError(f"an answer is longer than the context of {context} tokens")
    return Tree(cut_middle(stem, room), branches, truncated=len(stem) > room)


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    length = 0
    for a, b in zip(first, second, strict=False):
        if a != b:
            break
        length += 1
    return length


def cut_middle(ids: list[int], room: int) -> list[int]:
    """Cut a prompt in its middle: the request stands first, the cue for the answer last."""
    if len(ids) <= room:
        return ids
    tail = (room + 1) // 2
    return ids[: room - tail] + ids[len(ids) - tail :]


def windows(ids: list[int], context: int) -> Iterator[tuple[list[int], int]]:
    """Yield windows of at most ``context`` tokens with the place of the first token to score.

    They overlap by half, so that every token but the very first is predicted once, and from half
    a context at least.
    """
    if len(ids) < 2:
        return
    yield ids[:context], 1
    step = max(1, context // 2)
    end = context
    while end < len(ids):
        stop = min(end + step, len(ids))
        start = max(0, stop - context)
        yield ids[start:stop], end - start
        end = stop


def counted_likelihood(
    text: str, ids: Sequence[int], nll: float, has_prefix: bool, first_piece: str
) -> Likelihood:
    """Return a likelihood with the tokens, words and bytes that were predicted.

    Args:
        text: The text.
        ids: Its tokens without the begin piece.
        nll: Sum of negative log-likelihoods.
        has_prefix: Whether a begin piece stood in front; without one the first token was given.
        first_piece: Text of the first token.
    """
    size, words = len(text.encode("utf-8")), len(text.split())
    if has_prefix or not ids:
        return Likelihood(nll, len(ids), words, size)
    if first_piece.startswith(" ") and not text.startswith(" "):
        first_piece = first_piece[1:]
    given = len(first_piece.encode("utf-8"))
    return Likelihood(nll, len(ids) - 1, max(words - 1, 0), max(size - given, 0))
