"""Language identification: which of nine languages a text is in, with calibrated probabilities.

The first measure of crawl-filter (the report, section 3.2). A text is a sum of 8-bit weights
(kernel.py) over a trained table (model.py); this file turns sums into probabilities and decisions.
Pages in several languages are cut up by segments.py.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from norcli.corpus.language import kernel
from norcli.corpus.language.codes import NORWEGIAN, UNDETERMINED
from norcli.corpus.language.model import Model, load_model
from norcli.corpus.language.segments import Segment, SegmentedText, cut_texts
from norcli.corpus.packing import pack as pack

SHIPPED_MODEL = Path(__file__).with_name("langid.safetensors")

# Bokmål and Nynorsk together must be this likely for a text to be called Norwegian.
CERTAIN = 0.8


class Identification(NamedTuple):
    """The language of a text.

    Attributes:
        lang: ISO 639-3; "nor" if Norwegian is certain but Bokmål or Nynorsk is not; "und" if the
            text is in another language or too little speaks for any.
        score: The probability of `lang`: for "nor" that of Bokmål and Nynorsk together, for "und"
            that of another language (0 for a text without letters).
        probabilities: Of every class of the model, "other" included; they sum to 1.
    """

    lang: str
    score: float
    probabilities: dict[str, float]


class LanguageIdentifier:
    """Identifies languages with one model; may be shared by threads."""

    def __init__(self, model: Model) -> None:
        """Lay a model out for the kernel."""
        self.classes = model.classes
        self.margin = model.calibration.margin
        self.provenance = model.provenance
        self._calibration = model.calibration
        self._scales = model.scales.astype(np.float64)
        self._bias = model.bias.astype(np.float64)
        self._bits = model.bits
        # kernel.add_rows reads weights + 128 as bytes, 16 to a row.
        padded = np.full((len(model.weights), kernel.LANES), 128, np.uint8)
        padded[:, : len(self.classes)] = model.weights.view(np.uint8) ^ 0x80
        self._rows = padded.view("<u8")
        self._local = threading.local()
        self._names = [UNDETERMINED if name == "other" else name for name in self.classes]
        self._bokmaal, self._nynorsk, self._other = map(self.classes.index, ("nob", "nno", "other"))

    @classmethod
    def load(cls, path: Path | None = None) -> LanguageIdentifier:
        """Read a model file, by default the one shipped with norcli.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is no language model.
        """
        return cls(load_model(SHIPPED_MODEL if path is None else path))

    def identify(self, text: str) -> Identification:
        """Identify the language of one text; best in NFC."""
        return self.identify_batch([text])[0]

    def identify_batch(self, texts: Sequence[str]) -> list[Identification]:
        """Identify the languages of many texts in one call of the kernel."""
        log_probabilities, empty = self._score(self._sum(*pack(texts)))
        probabilities = np.exp(log_probabilities)
        names, scores = self._decide(probabilities, empty)
        return [
            Identification(name, score, dict(zip(self.classes, row, strict=True)))
            for name, score, row in zip(names, scores.tolist(), probabilities.tolist(), strict=True)
        ]

    def label_batch(self, texts: Sequence[str]) -> tuple[list[str], list[float]]:
        """Return only `lang` and `score` of each text: three times as fast for short ones."""
        return self._label(self._sum(*pack(texts)))

    def log_probabilities(
        self, buffer: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Score texts that lie end to end in a buffer, as `pack` lays them.

        Args:
            buffer: UTF-8 bytes.
            offsets: The start of each text and the end of the last, (T + 1,).

        Returns:
            Natural logarithms of the classes' probabilities, (T, classes).
        """
        return self._score(self._sum(buffer, offsets))[0]

    def segments(self, text: str) -> list[Segment]:
        """Cut a text into stretches of one language each, in order.

        Line and sentence ends are the only places where a stretch can end, and white space between
        stretches belongs to none. A text in one language gives one segment, an empty text none.
        """
        return self.segment_batch([text])[0].segments

    def segment_batch(self, texts: Sequence[str]) -> list[SegmentedText]:
        """Identify many texts and cut them into stretches of one language, in one pass."""
        buffer, offsets = pack(texts)
        most = len(buffer) // kernel.SHORTEST_PIECE + 2 * len(texts)
        sums = np.empty((len(texts), kernel.LANES), np.int64)
        first = np.empty(len(offsets), np.int64)
        spans = np.empty((most, 2), np.int64)
        stretch_sums = np.empty((most, kernel.LANES), np.int64)
        temperature = self._calibration.temperature
        cut_texts(
            buffer, offsets, self._rows, self._bits, *self._memory(), self._scales / temperature,
            self._bias / temperature, self._calibration.length_exponent, sums, first, spans,
            stretch_sums,
        )  # fmt: skip
        found = self._label(sums)
        count = first[-1]
        segments = [
            Segment(start, end, name, score)
            for (start, end), name, score in zip(
                spans[:count].tolist(), *self._label(stretch_sums[:count]), strict=True
            )
        ]
        bounds = first.tolist()
        return [
            SegmentedText(name, score, segments[start:end])
            for name, score, start, end in zip(*found, bounds, bounds[1:], strict=False)
        ]

    def _memory(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int16]]:
        """Return the words this thread remembers."""
        memory: Any = getattr(self._local, "memory", None)
        if memory is None:
            memory = self._local.memory = kernel.new_memory()
        return memory

    def _sum(
        self, buffer: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        sums = np.empty((len(offsets) - 1, kernel.LANES), np.int64)
        kernel.sum_texts(buffer, offsets, self._rows, self._bits, *self._memory(), sums)
        return sums

    def _label(self, sums: npt.NDArray[np.int64]) -> tuple[list[str], list[float]]:
        log_probabilities, empty = self._score(sums)
        names, scores = self._decide(np.exp(log_probabilities), empty)
        return names, scores.tolist()

    def _score(
        self, sums: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        features = sums[:, kernel.FEATURES]
        weight = np.maximum(features, 1.0) ** -self._calibration.length_exponent
        logits: Any = sums[:, : len(self.classes)] * self._scales * weight[:, None] + self._bias
        logits /= self._calibration.temperature
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        empty = features == 0
        logits[empty] = -np.log(len(self.classes))
        return logits, empty

    def _decide(
        self, probabilities: npt.NDArray[np.float64], empty: npt.NDArray[np.bool_]
    ) -> tuple[list[str], npt.NDArray[np.float64]]:
        top = probabilities.argmax(axis=1)
        scores = probabilities[np.arange(len(top)), top]
        norwegian = probabilities[:, self._bokmaal] + probabilities[:, self._nynorsk]
        unsure = scores < self.margin
        undecided = unsure & (norwegian >= CERTAIN)
        names = [self._names[k] for k in top.tolist()]
        for i in np.flatnonzero(unsure | empty).tolist():
            names[i] = NORWEGIAN if undecided[i] else UNDETERMINED
        nameless = unsure & ~undecided
        scores = np.where(nameless, probabilities[:, self._other], scores)
        scores = np.where(undecided, norwegian, scores)
        return names, np.where(empty, 0.0, scores)
