"""A folder of files with which another program serves a model: Ollama, vLLM or LM Studio.

Report section 3.4.3 (hosting). The weights stay where they are.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from norcli.errors import DataError, UsageError
from norcli.hosting import lmstudio, ollama, vllm
from norcli.hosting.options import ExportOptions
from norcli.hosting.source import open_directory_model, open_gguf_model
from norcli.streams import atomic_directory, check_output

_EXECUTABLE = 0o755


@dataclass(frozen=True)
class Export:
    """Files to write.

    Attributes:
        folder: Where to.
        files: Texts by name below the folder.
        links: Links by name below the folder, each with what it points at.
        advice: The command that uses them.
    """

    folder: Path
    files: dict[str, str]
    links: dict[str, str]
    advice: str


def plan_export(options: ExportOptions) -> Export:
    """Work out the files of an export.

    Raises:
        InputMissingError: There is no such model.
        DataError: It cannot be exported.
        UsageError: A name that cannot be one of a folder.
        CannotCreateError: The folder exists.
    """
    stem = Path(options.model).resolve().name.removesuffix(".gguf")
    name = options.name or stem
    if not name.strip() or "/" in name or name[0] in ".-" or not name.isprintable():
        raise UsageError(
            f"{name!r} cannot be the name of a model and of a folder",
            hint="give it one with --name",
        )
    if options.output == "-":
        raise UsageError("an export is a folder: name it with -o DIR")
    folder = Path(options.output or f"{name}-{options.for_}")
    for path in (folder, Path(options.model)):
        if not _is_utf8(str(path.resolve())):
            raise DataError("has a path that is not UTF-8, which no file can name", path=path)
    check_output(str(folder), options.overwrite)
    shown = shlex.quote(str(folder))
    if options.for_ == "vllm":
        directory = open_directory_model(options)
        return Export(folder, vllm.files(options, directory, folder.resolve()), {},
                      f"sh {shown}/serve.sh, or sbatch {shown}/vllm.sbatch")  # fmt: skip
    model = open_gguf_model(options)
    if options.for_ == "ollama":
        text = ollama.modelfile(options, model, folder)
        return Export(folder, {ollama.FILE: text}, {},
                      f"ollama create {ollama.model_name(model.name)} -f "
                      f"{shown}/{ollama.FILE}")  # fmt: skip
    return Export(
        folder, {lmstudio.defaults_path(model): lmstudio.defaults(options, model)},
        {lmstudio.link_path(model): str(Path(model.path).resolve())},
        f"cp -a {shown}/. ~/.lmstudio/",
    )  # fmt: skip


def _is_utf8(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def write_export(export: Export, overwrite: bool) -> None:
    """Write the folder, whole or not at all.

    Raises:
        CannotCreateError: It exists.
        IOFailureError: The disk is full.
    """
    with atomic_directory(str(export.folder), overwrite=overwrite) as folder:
        for name, text in export.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            if text.startswith("#!"):
                path.chmod(_EXECUTABLE)
        for name, target in export.links.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)
