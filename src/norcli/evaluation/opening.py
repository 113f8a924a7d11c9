"""Opening a model for evaluation: a Hugging Face directory or a GGUF file.

No torch here: an engine is imported when a model of its kind is opened.
"""

from __future__ import annotations

from pathlib import Path

from norcli.console import Console
from norcli.errors import DataError, InputMissingError
from norcli.evaluation.models import LanguageModel
from norcli.evaluation.options import EvalOptions


def engine_of(path: str, engine: str = "auto") -> str:
    """Return ``hf`` or ``gguf`` for a model, by what lies at the path.

    Raises:
        InputMissingError: There is nothing at the path.
        DataError: It is neither a GGUF file nor a directory with config.json.
    """
    place = Path(path)
    if not place.exists():
        raise InputMissingError("no such model", path=path)
    if engine == "gguf" or (engine == "auto" and place.is_file()):
        if place.is_dir():
            raise DataError("is a directory, not a GGUF file", path=path)
        with place.open("rb") as stream:
            if stream.read(4) != b"GGUF":
                raise DataError("is no GGUF file", path=path)
        return "gguf"
    if not place.is_dir():
        raise DataError("is a file; expected a Hugging Face directory", path=path)
    for name, hint in (
        ("config.json", "norcli pretrain and sft write such directories"),
        ("tokenizer", "copy tokenizer.model or tokenizer.json into it"),
    ):
        if name == "tokenizer":
            present = any((place / f"tokenizer{end}").is_file() for end in (".model", ".json"))
        else:
            present = (place / name).is_file()
        if not present:
            raise DataError(f"model directory has no {name}", path=path, hint=hint)
    return "hf"


def open_model(options: EvalOptions, console: Console) -> LanguageModel:
    """Load the model of the options.

    Raises:
        InputMissingError: There is no such model.
        DataError: It is damaged or incomplete.
        UnavailableError: The engine's package, or the device, is not there.
    """
    if engine_of(options.model, options.engine) == "gguf":
        from norcli.evaluation.gguf_model import GgufModel

        return GgufModel(Path(options.model), options, console)
    from norcli.evaluation.huggingface_model import HuggingFaceModel

    return HuggingFaceModel(Path(options.model), options, console)
