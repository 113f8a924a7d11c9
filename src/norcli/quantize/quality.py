"""What quantization costs: each finished file measured against the source on a text, by language.

The source runs in llama.cpp, too, as a GGUF file of its own precision, so that only the weights'
quantization makes the difference; where such a file was not asked for, one stands in $TMPDIR for
as long as the measuring takes. With an importance matrix the same types are also made without it,
and the text says which are better.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from norcli.console import Console
from norcli.errors import DataError
from norcli.quantize.divergence import Divergence, Doubles, Mean, measure_divergence
from norcli.quantize.llama_library import LlamaModel
from norcli.quantize.options import QuantizeOptions
from norcli.quantize.plan import Source
from norcli.quantize.texts import token_chunks

# Convert a source by changed options; given by `convert`, which this module is called from.
Convert = Callable[[Source, QuantizeOptions], None]
_EXACT = frozenset({"F32", "F16", "BF16"})


@dataclass(frozen=True)
class Quality:
    """One file against the source.

    Attributes:
        type: The file's type.
        total: All languages together.
        languages: By the documents' language.
        gain: Mean divergence without the importance matrix less that with it, token by token;
            None where there is no matrix.
    """

    type: str
    total: Divergence
    languages: dict[str, Divergence] = field(default_factory=dict)
    gain: Mean | None = None

    @property
    def verdict(self) -> str:
        """Say whether the importance matrix helped, at two standard errors."""
        if self.gain is None:
            return ""
        low, high = self.gain.value - 2 * self.gain.error, self.gain.value + 2 * self.gain.error
        if low > 0:
            return "the importance matrix helped"
        return "the importance matrix did harm" if high < 0 else "no difference beyond the error"


def measure_quality(
    source: Source, options: QuantizeOptions, paths: Sequence[str], texts: dict[str, str],
    convert: Convert, console: Console,
) -> list[Quality]:  # fmt: skip
    """Measure finished files on a text.

    Args:
        source: The opened source.
        options: Of the run.
        paths: The finished files, in the order of ``type``.
        texts: What to read, by language.
        convert: Makes further files from the source.
        console: Shows progress.

    Raises:
        DataError: The text is shorter than one chunk, or llama.cpp cannot load a file.
        UnavailableError: xllamacpp is not installed.
        IOFailureError: No room for the source in $TMPDIR.
    """
    types = options.types()
    # Beyond its positions llama.cpp would end the program.
    length = min(options.report_chunk, source.config.max_position_embeddings)
    with tempfile.TemporaryDirectory(prefix="norcli-report-") as folder:
        base = _source_file(source, options, dict(zip(types, paths, strict=True)), folder, convert)
        plain = _without_matrix(source, options, types, folder, convert)
        chunks, spans = _chunks_by_language(base, texts, length, options, console)
        threads = options.jobs or 1
        rows = measure_divergence(base, [*paths, *plain.values()], chunks, threads, console)
    made = dict(zip(types, rows, strict=False))
    unweighed = dict(zip(plain, rows[len(paths) :], strict=True))
    return [_judge(kind, made[kind], unweighed.get(kind), spans) for kind in types]


def _source_file(
    source: Source, options: QuantizeOptions, made: dict[str, str], folder: str, convert: Convert
) -> str:
    """Return a file that holds the source's weights unchanged."""
    stored = {entry.dtype for entry in source.checkpoint.entries.values()}
    # A merged adapter's sums need more than the model's own 16 bits.
    single = len(stored) == 1 and stored <= _EXACT and source.adapter is None
    kind = next(iter(stored)) if single else "F32"
    if kind in made:
        return made[kind]
    path = str(Path(folder) / "source.gguf")
    convert(replace(source, importance=None), _plain(options, [kind], path))
    return path


def _without_matrix(
    source: Source, options: QuantizeOptions, types: Sequence[str], folder: str, convert: Convert
) -> dict[str, str]:
    """Make the types once more without the importance matrix; nothing where there is none."""
    weighed = [kind for kind in types if kind not in _EXACT | {"Q8_0"}]
    if source.importance is None or not weighed:
        return {}
    pattern = str(Path(folder) / "plain-{type}.gguf")
    convert(replace(source, importance=None), _plain(options, weighed, pattern))
    return {kind: pattern.replace("{type}", kind) for kind in weighed}


def _plain(options: QuantizeOptions, types: Sequence[str], output: str) -> QuantizeOptions:
    return replace(options, type=list(types), output=output, imatrix=None, save_imatrix=None,
                   report=False, report_text=None)  # fmt: skip


def _chunks_by_language(
    base: str, texts: dict[str, str], length: int, options: QuantizeOptions, console: Console
) -> tuple[list[list[int]], dict[str, tuple[int, int]]]:
    """Return the chunks to read, and which of them belong to each language."""
    share = max(1, options.report_tokens // length // len(texts))
    chunks: list[list[int]] = []
    spans: dict[str, tuple[int, int]] = {}
    with LlamaModel(base, length, 1) as model:
        for lang, text in sorted(texts.items()):
            ids = model.tokenize(text)
            found = token_chunks(ids, length, model.begin)[:share]
            if not found:
                console.warn(
                    f"{options.report_text}: less than {length} tokens of {lang}; left out"
                )
                continue
            spans[lang] = (len(chunks), len(chunks) + len(found))
            chunks += found
    if not chunks:
        raise DataError(f"holds less than one chunk of {length} tokens", path=options.report_text)
    judged = length - 1 - length // 2
    return chunks, {lang: (a * judged, b * judged) for lang, (a, b) in spans.items()}


def _judge(
    kind: str, rows: Doubles, plain: Doubles | None, spans: dict[str, tuple[int, int]]
) -> Quality:
    gain = None if plain is None else Mean.of(plain[:, 2] - rows[:, 2])
    languages = {lang: Divergence.of(rows[a:b]) for lang, (a, b) in spans.items()}
    if not np.isfinite(rows).all():
        raise DataError(f"{kind} gives logits that are not finite numbers: it cannot be measured")
    return Quality(kind, Divergence.of(rows), languages, gain)
