"""A Modelfile for Ollama: the GGUF file, the conversation as a Go template, stops and context.

Ollama neither takes a template from the GGUF file nor reads Jinja, and it does not quantize what
it imports. Facts of the file: docs/modelfile.mdx and template/template.go of ollama/ollama.
"""

from __future__ import annotations

import re
from pathlib import Path

from norcli.errors import DataError, UsageError
from norcli.hosting.options import ExportOptions
from norcli.hosting.source import GgufModel
from norcli.training.conversation import choose_conversation

FILE = "Modelfile"


def model_name(name: str) -> str:
    """Return a name that Ollama takes: letters, digits, and a few signs between them."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-._") or "model"


def modelfile(options: ExportOptions, model: GgufModel, folder: Path) -> str:
    """Return the Modelfile.

    Args:
        options: Of the command.
        model: The GGUF file.
        folder: Where the Modelfile will lie; FROM is the file's whole path.

    Raises:
        DataError: The model's own template cannot be written in Go, or its path cannot stand in
            a Modelfile.
        UsageError: The system message cannot stand in a Modelfile.
    """
    form = choose_conversation(options.template, model.chat_template, model.eos_token, model.path)
    if form.go is None:
        raise DataError(
            "has a chat template of its own, and norcli writes only its known ones in Go",
            path=model.path, hint="name the nearest: --template mistral",
        )  # fmt: skip
    path = str(Path(model.path).resolve())
    if '"' in path or "\n" in path:
        raise DataError("has a quote or a line end in its path, which Ollama cannot read",
                        path=model.path)  # fmt: skip
    for stop in (model.eos_token, *form.stops):
        if '"' in stop or "\n" in stop:
            raise DataError(f"ends answers by {stop!r}, which cannot stand in a Modelfile",
                            path=model.path)  # fmt: skip
    lines = [f'FROM "{path}"', "", f'TEMPLATE """{form.go}"""', ""]
    if options.system is not None:
        if '"""' in options.system:
            raise UsageError('--system: """ cannot stand in a Modelfile')
        lines += [f'SYSTEM """{options.system}"""', ""]
    for stop in (model.eos_token, *form.stops):
        lines.append(f'PARAMETER stop "{stop}"')
    lines.append(f"PARAMETER num_ctx {options.context or model.context}")
    lines.append(f"PARAMETER temperature {options.temperature:g}")
    return "\n".join(lines) + "\n"
