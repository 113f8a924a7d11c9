"""One answer of a model that runs here, token by token: choose, tell drafts apart, decode.

Knows nothing of torch: `huggingface_engine` gives it the logits of each step, of one answer or of
several side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np

from norcli.chat.decoding import IncrementalDecoder
from norcli.chat.engines import GenerationCounts, Sampling
from norcli.chat.sampling import choose_token
from norcli.chat.thinking import ThoughtTracker


class TokenLoop:
    """The state of one answer.

    Args:
        ids: The prompt.
        sampling: How tokens are chosen, and how many.
        decode: Ids to text, as the tokenizer does it.
        end_ids: Tokens that end the answer.
        think_ids: Ids of the tokens around a draft.
        counts: Filled as the answer goes on.

    Attributes:
        ended: Whether the answer is over.
        last_id: The token to give the model next.
    """

    def __init__(
        self, ids: Sequence[int], sampling: Sampling, *, decode: Callable[[Sequence[int]], str],
        end_ids: AbstractSet[int], think_ids: tuple[int, int] | None, counts: GenerationCounts,
    ) -> None:  # fmt: skip
        self._known = list(ids)
        self._sampling = sampling
        self._decode = decode
        self._end_ids = end_ids
        self._decoder = IncrementalDecoder(decode, ids)
        self._random = np.random.default_rng(sampling.seed)
        self._thoughts = ThoughtTracker(think_ids, sampling.think_tokens)
        self._most = sampling.most_tokens
        self._counts = counts
        self.ended = False
        self.last_id = -1

    def take(self, logits: np.ndarray[Any, np.dtype[np.float32]]) -> list[str]:
        """Choose the next token; return the pieces of text that it completes.

        Args:
            logits: [V]
        """
        token = self._thoughts.forced_id
        if token is None:
            token = choose_token(logits, self._known, self._sampling, self._random)
            if token in self._end_ids:
                self._counts.finished = self.ended = True
                return []
        self._counts.new_tokens += 1
        self._known.append(token)
        self.last_id = token
        self.ended = self._counts.new_tokens >= self._most
        if not self._thoughts.is_mark(token):
            self._thoughts.feed(token)
            self._counts.draft_tokens = self._thoughts.tokens
            text = self._thoughts.piece(self._decoder.feed(token))
            return [text] if text else []
        rest = self.flush()
        self._thoughts.feed(token)
        # A new text begins behind a mark.
        self._decoder = IncrementalDecoder(self._decode, [token])
        return rest

    def flush(self) -> list[str]:
        """Return what is left at the end."""
        rest = self._thoughts.piece(self._decoder.flush())
        return [rest] if rest else []
