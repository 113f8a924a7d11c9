"""The choice of an engine for a model: by its path, before and when it is opened.

Each engine is imported only when a model of its kind is, so that a GGUF file never waits for torch.
"""

from __future__ import annotations

from pathlib import Path

from norcli.chat.engines import Engine, ModelDescription, context_size
from norcli.chat.options import ChatOptions
from norcli.console import INFO, Console
from norcli.errors import DataError, InputMissingError, UsageError

GGUF_MAGIC = b"GGUF"
URL_SCHEMES = ("http://", "https://")


def describe_model(path: str, engine: str = "auto") -> ModelDescription:
    """Look at a model without loading it.

    Args:
        path: A GGUF file, a Hugging Face directory, or a server's URL.
        engine: ``auto``, or the engine that the user wants.

    Raises:
        InputMissingError: There is nothing at the path.
        DataError: It is no model, or damaged, or lacks its tokenizer.
        UsageError: The engine cannot run this kind of model.
    """
    if path.startswith(URL_SCHEMES):
        if engine not in ("auto", "url"):
            raise UsageError(f"--engine {engine} cannot run {path}: it is a server")
        from norcli.chat.url_engine import describe_server

        return describe_server(path)
    place = Path(path)
    if not place.exists():
        raise InputMissingError("no such model", path=path,
                                hint="give a GGUF file or a Hugging Face directory")  # fmt: skip
    kind = "hf" if place.is_dir() else "gguf"
    if engine not in ("auto", kind):
        what = "a directory" if kind == "hf" else "a file"
        hint = f"norcli quantize {path} -o model.gguf" if kind == "hf" else None
        raise UsageError(f"--engine {engine} cannot run {path}: it is {what}", hint=hint)
    if kind == "gguf":
        _check_gguf_magic(place)
        from norcli.chat.gguf_model import describe_gguf

        return describe_gguf(path)
    from norcli.chat.huggingface_model import describe_directory

    return describe_directory(path)


def _check_gguf_magic(place: Path) -> None:
    try:
        with place.open("rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        raise InputMissingError("cannot be read", path=place) from error
    if magic != GGUF_MAGIC:
        hint = None
        if place.suffix in (".safetensors", ".bin", ".json", ".model"):
            hint = f"give the directory: {place.parent}"
        raise DataError("is not a GGUF file", path=place, hint=hint)


def open_engine(
    description: ModelDescription,
    options: ChatOptions,
    console: Console,
    *,
    keeps_prompt: bool = False,
    key: str | None = None,
) -> Engine:
    """Load a model, its adapter included.

    Args:
        description: From `describe_model`.
        options: Context and threads.
        console: Its level decides whether llama.cpp may log.
        keeps_prompt: Whether the work done for a prompt is kept for the next that begins alike.
            Good for a conversation; without it an answer depends on its prompt alone, to the bit.
        key: For a server that asks for one.

    Raises:
        UnavailableError: The package that runs it is not installed; a server is not there.
        DataError: The weights are damaged or do not fit together.
        UsageError: The context asked for is longer than the model's.
    """
    if description.engine == "url":
        from norcli.chat.url_engine import UrlEngine

        return UrlEngine(description, model_name=options.model_name, key=key,
                         timeout=options.timeout, context=options.context)  # fmt: skip
    context = context_size(description, options.context)
    threads = options.jobs or 1
    if description.engine == "gguf":
        from norcli.chat.gguf_engine import GgufEngine

        return GgufEngine(description, context=context, threads=threads, adapter=options.adapter,
                          parallel=options.batch_size if options.jsonl else 1,
                          keeps_prompt=keeps_prompt, talkative=console.level > INFO)  # fmt: skip
    from norcli.chat.huggingface_engine import HuggingFaceEngine

    return HuggingFaceEngine(description, context=context, threads=threads,
                             adapter=options.adapter, keeps_prompt=keeps_prompt)  # fmt: skip
