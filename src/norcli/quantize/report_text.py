"""The tables of ``quantize --report``: sizes and memory, quality, and the worst tensors.

Made to be read in a terminal of 80 columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from norcli.columns import aligned
from norcli.quantize.divergence import Divergence
from norcli.quantize.inspection import human_bytes, human_count
from norcli.quantize.quality import Quality
from norcli.quantize.report import ConversionReport, FileReport

WORST_TENSORS = 10


def report_text(report: ConversionReport) -> str:
    """Return the whole report as text."""
    blocks = [
        f"{report.name}: {report.model_class}, {human_count(report.parameters)} weights in "
        f"{report.tensors} tensors",
        _sizes(report.files),
        _types(report.files),
    ]
    if report.quality:
        blocks += [_perplexity(report.quality), _divergence(report.quality)]
        verdicts = [_gain_line(quality) for quality in report.quality if quality.gain is not None]
        blocks += ["\n".join(verdicts)] if verdicts else []
    blocks += [text for file in report.files for text in (_fallbacks(file), _worst(file)) if text]
    return "\n\n".join(blocks) + "\n"


def _sizes(files: Sequence[FileReport]) -> str:
    rows = [("type", "file", "bits/weight", "memory", "context", "runs on")]
    for file in files:
        memory = file.memory
        rows.append((
            file.type, human_bytes(file.bytes), f"{file.bits_per_weight:.2f}",
            human_bytes(memory.total_bytes), str(memory.context), memory.advice,
        ))  # fmt: skip
    return "\n".join(aligned(rows, left=(0, 5)))


def _types(files: Sequence[FileReport]) -> str:
    rows = [("type", "tensors")]
    for file in files:
        kinds = ", ".join(f"{count} {kind}" for kind, count in file.tensors.items())
        rows.append((file.type, kinds))
    return "\n".join(aligned(rows, left=(0, 1)))


def _parts(found: Sequence[Quality]) -> Iterator[tuple[str, str, Divergence]]:
    """Yield type, language and figures: the whole text, and its languages where it has several."""
    for quality in found:
        yield quality.type, "all", quality.total
        if len(quality.languages) > 1:
            yield from (("", lang, part) for lang, part in quality.languages.items())


def _perplexity(found: Sequence[Quality]) -> str:
    rows = [("type", "text", "tokens", "source", "perplexity", "ln ratio")]
    for kind, text, part in _parts(found):
        rows.append((
            kind, text, str(part.tokens), f"{part.source_perplexity:.4g}",
            f"{part.perplexity:.4g}",
            f"{part.log_ratio.value:+.5f} ± {part.log_ratio.error:.5f}",
        ))  # fmt: skip
    title = "perplexity of the source and of the file; ± standard error"
    return title + "\n" + "\n".join(aligned(rows, left=(0, 1)))


def _divergence(found: Sequence[Quality]) -> str:
    rows = [("type", "text", "mean KLD", "99.9 % KLD", "same top-1")]
    for kind, text, part in _parts(found):
        rows.append((
            kind, text, f"{part.mean.value:.6f} ± {part.mean.error:.6f}",
            f"{part.quantiles['99.9']:.5f}",
            f"{100 * part.same_top.value:.2f} ± {100 * part.same_top.error:.2f} %",
        ))  # fmt: skip
    title = "divergence from the source in nats, and how often both expect the same token"
    return title + "\n" + "\n".join(aligned(rows, left=(0, 1)))


def _gain_line(quality: Quality) -> str:
    assert quality.gain is not None
    return (
        f"{quality.type}: {quality.verdict}; mean KLD lower by {quality.gain.value:.6f} ± "
        f"{quality.gain.error:.6f}"
    )


def _fallbacks(file: FileReport) -> str:
    changed = [row for row in file.table if row.wanted is not None]
    if not changed:
        return ""
    rows = [("tensor", "type", "instead of")]
    rows += [(row.name, row.type, str(row.wanted)) for row in changed]
    return f"{file.type}: rows that do not fill blocks\n" + "\n".join(aligned(rows, left=(0, 1, 2)))


def _worst(file: FileReport) -> str:
    measured = [row for row in file.table if row.relative]
    if not measured:
        return ""
    measured.sort(key=lambda row: (-(row.relative or 0), row.name))
    rows = [("tensor", "type", "RMSE", "of the weights")]
    rows += [
        (row.name, row.type, f"{row.rmse:.3g}", f"{100 * (row.relative or 0):.2f} %")
        for row in measured[:WORST_TENSORS]
    ]
    return f"{file.type}: largest errors\n" + "\n".join(aligned(rows, left=(0, 1)))
