"""The conversion: weights streamed tile by tile from the checkpoint into the GGUF files.

Each tile (some rows of one matrix) is read, turned into float32, checked and encoded once per
wanted type, by as many threads as asked for; the main thread writes tiles in order. Memory is
bounded by the tiles in flight, whatever the model's size, and the bytes do not depend on the
number of threads. Nothing intermediate is written.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from norcli.console import Console
from norcli.errors import CannotCreateError, DataError, UsageError
from norcli.formats.gguf import padding_after
from norcli.quantize.encoding import Work, encode_tiles
from norcli.quantize.importance import (
    ImportanceMatrix,
    is_importance_matrix,
    read_importance,
    write_importance,
)
from norcli.quantize.options import QuantizeOptions
from norcli.quantize.parity import prove_vocabulary
from norcli.quantize.plan import Source, lay_out, open_source
from norcli.quantize.quality import Quality
from norcli.quantize.report import ConversionReport, FileReport, TensorErrors, describe_file
from norcli.streams import atomic_file, check_output, refuse_terminal

# Mapped pages are let go after this much, so that they never add up.
RELEASE_BYTES = 64 << 20


def quantize(options: QuantizeOptions, console: Console) -> ConversionReport:
    """Convert a model directory into one GGUF file per type.

    Raises:
        InputMissingError: The directory or a shard is not there.
        DataError: The model cannot be converted, or holds NaN or infinite weights.
        CannotCreateError: An output exists, or its folder does not.
    """
    started = time.perf_counter()
    options.refuse(("base_model",), "a model; it is an adapter's")
    source = open_source(options, console)
    texts: dict[str, str] = {}
    if options.report_text is not None:
        from norcli.quantize.texts import read_texts_by_language

        texts = read_texts_by_language(options.report_text, console)
    if source.copied is None:
        directory = source.checkpoint.directory
        prove_vocabulary(source.vocabulary, directory, options.allow_tokenizer_mismatch, console)
    source = with_importance(source, options, console)
    files = convert_source(source, options, console)
    quality: list[Quality] = []
    if options.report_text is not None:
        from norcli.quantize.quality import measure_quality

        paths = [file.path for file in files]
        quality = measure_quality(source, options, paths, texts, _convert_silently, console)
    return ConversionReport(
        name=source.name,
        model_class=source.config.model_class,
        parameters=source.parameters,
        tensors=len(source.tensors),
        tokenizer=source.vocabulary.source,
        files=files,
        seconds=time.perf_counter() - started,
        quality=quality,
    )


def _convert_silently(source: Source, options: QuantizeOptions) -> None:
    convert_source(source, options, Console.silent())


def convert_source(source: Source, options: QuantizeOptions, console: Console) -> list[FileReport]:
    """Write the files of an opened source and say what each holds.

    Raises:
        DataError: The model holds NaN or infinite weights, or too large ones.
        CannotCreateError: An output exists, or its folder does not.
    """
    layouts = lay_out(options, source)
    for layout in layouts:
        if layout.path == "-":
            refuse_terminal("a GGUF file")
            if options.report_text is not None:
                raise UsageError("--report-text reads the file again: name it with -o FILE")
        check_output(layout.path, options.overwrite)
        if layout.path != "-" and Path(layout.path).is_dir():
            raise CannotCreateError("is a directory; a GGUF file is wanted", path=layout.path)
    for layout in layouts:
        for line in describe_file(source, layout).fallback_lines:
            console.say(line)
    errors = [TensorErrors() for _ in layouts] if options.report else None
    with ExitStack() as stack:
        streams = [
            stack.enter_context(atomic_file(layout.path, overwrite=options.overwrite))
            for layout in layouts
        ]
        work = Work(source, layouts, options.jobs or 1, options.device, options.report)
        _write(work, streams, errors, console)
    return [
        describe_file(source, layout, errors[number] if errors else None, options.context)
        for number, layout in enumerate(layouts)
    ]


def with_importance(source: Source, options: QuantizeOptions, console: Console) -> Source:
    """Read or compute the importance matrix that the options ask for, and keep it if they say so.

    A dry run computes nothing: the types of the tensors do not depend on the values.

    Raises:
        DataError: It belongs to another model, or the text is too short.
        UsageError: --save-imatrix without --imatrix.
    """
    if options.imatrix is None:
        if options.save_imatrix is not None:
            raise UsageError("--save-imatrix needs --imatrix")
        return source
    if options.save_imatrix is not None:
        check_output(options.save_imatrix, options.overwrite)
    if is_importance_matrix(options.imatrix):
        matrix = read_importance(options.imatrix)
    elif options.dry_run:
        return replace(source, importance=ImportanceMatrix({}, [options.imatrix]))
    elif source.copied is not None:
        raise UsageError(
            "--imatrix: a text needs the model directory to read it with",
            hint="compute it there with --save-imatrix, or with llama-imatrix",
        )
    else:
        from norcli.quantize.activations import compute_importance

        matrix = compute_importance(
            source, options.imatrix, chunk_tokens=options.imatrix_chunk,
            most_tokens=options.imatrix_tokens, jobs=options.jobs or 1, console=console,
        )  # fmt: skip
    if options.save_imatrix is not None:
        write_importance(matrix, options.save_imatrix, options.overwrite)
    known = [t for t in source.tensors if matrix.weights_of(t.name, t.shape) is not None]
    if not known:
        raise DataError("holds nothing for the tensors of this model", path=matrix.path)
    return replace(source, importance=matrix)


def _write(
    work: Work, streams: list[BinaryIO], errors: list[TensorErrors] | None, console: Console
) -> None:
    source, layouts = work.source, work.layouts
    for layout, stream in zip(layouts, streams, strict=True):
        stream.write(layout.header)
    checkpoint, mapped = source.checkpoint, 0
    total = source.parameters / 1e6
    with console.progress("quantizing", total, "M weights") as progress:
        for tile, encoded in encode_tiles(work):
            for stream, data in zip(streams, encoded.data, strict=True):
                stream.write(data.data)
            for known, error in zip(errors or (), encoded.errors, strict=True):
                known.add(tile.tensor.name, error, encoded.power, tile.weights)
            if tile.last:
                for layout, stream in zip(layouts, streams, strict=True):
                    stream.write(padding_after(layout.infos[tile.index].size_bytes))
            mapped += 4 * tile.weights
            if tile.source is not None and (tile.last or mapped >= RELEASE_BYTES):
                checkpoint.release(tile.source)
                mapped = 0
            progress.advance(
                tile.weights / 1e6, f"tensor {tile.index + 1} of {len(source.tensors)}"
            )
