"""An engine that needs no model: it says what it was told to and keeps what it was asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from norcli.chat.engines import GenerationCounts, ModelDescription, Sampling
from norcli.chat.thinking import Thought


class CharacterVocabulary:
    """One token per character; ``<s>`` and ``</s>`` are 1 and 2."""

    bos_id: int | None = 1
    begins_with_bos = True
    eos_id: int | None = 2
    control_texts: Sequence[str] = ("<s>", "</s>")

    def encode(self, text: str, control: bool = False) -> list[int]:
        if not control:
            return [ord(character) for character in text]
        ids: list[int] = []
        while text:
            for spelling, token in (("<s>", 1), ("</s>", 2)):
                if text.startswith(spelling):
                    ids.append(token)
                    text = text[len(spelling) :]
                    break
            else:
                ids.append(ord(text[0]))
                text = text[1:]
        return ids

    def spelling(self, token_id: int) -> str:
        return {1: "<s>", 2: "</s>"}.get(token_id, chr(token_id))

    def text(self, ids: Sequence[int]) -> str:
        return "".join(self.spelling(i) for i in ids)


class ScriptedEngine:
    """Gives the chunks it was told to, one answer after the other; keeps what it was asked."""

    def __init__(self, answers: Sequence[Sequence[str | Path]], context: int = 1000) -> None:
        self.description = ModelDescription(
            path="script", engine="gguf", architecture="none", context_tokens=context,
            template=None, chat_template=None,
        )  # fmt: skip
        self.context_tokens = context
        self.vocabulary = CharacterVocabulary()
        self.counts = GenerationCounts()
        self.answers = list(answers)
        self.asked: list[str] = []
        self.samplings: list[Sampling] = []
        self.on_chunk: Callable[[int], None] = lambda position: None

    def generate(
        self, ids: Sequence[int], sampling: Sampling, stopped: Callable[[], bool]
    ) -> Generator[str]:
        self.asked.append(self.vocabulary.text(ids))
        self.samplings.append(sampling)
        self.counts = GenerationCounts(prompt_tokens=len(ids))
        for position, chunk in enumerate(self.answers.pop(0)):
            self.on_chunk(position)
            while isinstance(chunk, Path) and not chunk.exists() and not stopped():
                time.sleep(0.01)
            if stopped():
                return
            if isinstance(chunk, Path):
                continue
            self.counts.new_tokens += 1
            self.counts.draft_tokens += isinstance(chunk, Thought)
            yield chunk
        self.counts.finished = True

    def close(self) -> None:
        pass
