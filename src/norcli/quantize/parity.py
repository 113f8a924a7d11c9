"""The check behind --check: llama.cpp loads the file and tokenizes as the source tokenizer does.

A probe of Norwegian, Sámi, spaces, digits, code and symbols goes through both; the first line that
differs is shown. Runs llama.cpp through xllamacpp, on a loopback port with a key of its own; needs
the extra ``chat``.
"""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from norcli.console import Console
from norcli.errors import DataError, NorcliError, missing_extra
from norcli.quantize.vocabulary import JSON_FILE, SENTENCEPIECE_FILE

PROBE = (
    "Hva er Norges lengste elv? Det er Glomma, 621 kilometer.",
    "Kva heiter du? Eg kjem frå Ålesund – og du?",
    "Čálán davvisámegiela: đ ŋ š ŧ ž Á Č",
    "  spaces  in   front, between and behind  ",
    "tab\there\nnew line\r\nand another\n\n\ntwo empty ones",
    "1234567890 3,14 -2.5e-3 ½ ¾ ² ﬁ ﬂ ℃",
    "emoji 😀 👍🏽 🇳🇴 and 日本語 текст עברית",
    'def f(x):\n    return {"a": [x + 1, x**2]}  # comment',
    "e\u0301 combining, non\u00a0breaking, zero\u200bwidth",
)

Encode = Callable[[str], Sequence[int]]


def check_files(model: str, source: str, paths: Sequence[str], console: Console) -> None:
    """Check finished GGUF files against the tokenizer of the model directory.

    Args:
        model: The model directory.
        source: File of it that the vocabulary came from.
        paths: The GGUF files.
        console: Hears of each file that passed.

    Raises:
        NorcliError: A line is tokenized differently (exit 1).
        DataError: llama.cpp cannot load a file.
        UnavailableError: xllamacpp is not installed.
    """
    encode = source_encoder(Path(model), source)
    for path in paths:
        compare(path, encode, llama_cpp_encoder(path))
        console.say(f"{path}: llama.cpp loads it, equal tokens on {len(PROBE)} probe lines")


def compare(path: str, wanted: Encode, got: Encode) -> None:
    """Compare two encoders on the probe.

    Raises:
        NorcliError: They differ; names the first line and the first differing place.
    """
    for line in PROBE:
        first, second = list(wanted(line)), list(got(line))
        if first == second:
            continue
        pairs = zip(first, second, strict=False)
        place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
        raise NorcliError(
            f"llama.cpp tokenizes {line!r} differently from token {place} on: "
            f"{first[place : place + 4]} in the source, {second[place : place + 4]} in the file",
            path=path,
            hint="the file stands; its answers may be worse than the model's own",
        )


def source_encoder(directory: Path, source: str) -> Encode:
    """Return the encoder of the model directory's own tokenizer, without special tokens.

    Raises:
        DataError: It is of a kind that no installed library reads.
    """
    if source == SENTENCEPIECE_FILE:
        from sentencepiece import SentencePieceProcessor

        processor: Any = SentencePieceProcessor(model_file=str(directory / source))
        return lambda line: list(processor.encode(line))
    if source == JSON_FILE:
        from tokenizers import Tokenizer

        tokenizer: Any = Tokenizer.from_file(str(directory / source))
        return lambda line: list(tokenizer.encode(line, add_special_tokens=False).ids)
    raise DataError("cannot be checked: norcli reads it only to convert", path=directory / source)


def llama_cpp_encoder(path: str) -> Encode:
    """Load a GGUF file in llama.cpp and return its encoder.

    Raises:
        DataError: llama.cpp cannot load it.
        UnavailableError: xllamacpp is not installed.
    """
    try:
        import xllamacpp
    except ModuleNotFoundError as error:
        raise missing_extra("xllamacpp", "chat") from error
    key = secrets.token_hex(16)
    params: Any = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx, params.n_parallel, params.n_threads_http = 64, 1, 1
    params.cpuparams.n_threads = 1
    params.warmup, params.ui, params.endpoint_slots = False, False, False
    params.verbosity = -1
    params.api_keys = [key]
    params.endpoint_metrics = True
    try:
        server: Any = xllamacpp.Server(params)
    except RuntimeError as error:
        raise DataError("llama.cpp cannot load it", path=path) from error
    # A server let go before its loop has begun never ends (xllamacpp 2026.10); an answered
    # question shows that it has begun.
    server.handle_metrics()

    def encode(line: str) -> list[int]:
        body = {"content": line, "add_special": False, "parse_special": False}
        request = urllib.request.Request(
            f"{server.listening_address}/tokenize",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return list(json.load(response)["tokens"])
        except (urllib.error.URLError, KeyError) as error:
            raise DataError(f"llama.cpp does not tokenize: {error}", path=path) from error

    return encode
