"""The tables of ``quantize --report``: sizes and memory, quality, and the worst tensors."""

from __future__ import annotations

from collections.abc import Sequence

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
    ]
    if report.quality:
        blocks.append(_quality(report.quality))
        verdicts = [_gain_line(quality) for quality in report.quality if quality.gain is not None]
        blocks += ["\n".join(verdicts)] if verdicts else []
    blocks += [text for file in report.files for text in (_fallbacks(file), _worst(file)) if text]
    return "\n\n".join(blocks) + "\n"


def _sizes(files: Sequence[FileReport]) -> str:
    rows = [("type", "file", "bits/weight", "tensors", "memory", "context", "runs on")]
    for file in files:
        kinds = ", ".join(f"{count} {kind}" for kind, count in file.tensors.items())
        memory = file.memory
        rows.append((
            file.type, human_bytes(file.bytes), f"{file.bits_per_weight:.2f}", kinds,
            human_bytes(memory.total_bytes), str(memory.context), memory.advice,
        ))  # fmt: skip
    return "\n".join(aligned(rows, left=(0, 3, 6)))


def _quality(found: Sequence[Quality]) -> str:
    heads = "type text tokens perplexity ln_ratio mean_KLD 99.9_%_KLD same_top-1"
    rows = [tuple(head.replace("_", " ") for head in heads.split())]
    for quality in found:
        rows.append(_quality_row(quality.type, "all", quality.total))
        if len(quality.languages) > 1:
            rows += [_quality_row("", lang, part) for lang, part in quality.languages.items()]
    source = found[0].total
    title = f"source perplexity {source.source_perplexity:.4g}; KLD in nats; ± standard error"
    return title + "\n" + "\n".join(aligned(rows, left=(0, 1)))


def _quality_row(kind: str, text: str, part: Divergence) -> tuple[str, ...]:
    return (
        kind, text, str(part.tokens), f"{part.perplexity:.4g}",
        f"{part.log_ratio.value:+.5f} ± {part.log_ratio.error:.5f}",
        f"{part.mean.value:.6f} ± {part.mean.error:.6f}", f"{part.quantiles['99.9']:.5f}",
        f"{100 * part.same_top.value:.2f} ± {100 * part.same_top.error:.2f} %",
    )  # fmt: skip


def _gain_line(quality: Quality) -> str:
    assert quality.gain is not None
    return (
        f"{quality.type}: {quality.verdict}: mean KLD less by {quality.gain.value:.6f} ± "
        f"{quality.gain.error:.6f} than without it"
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
