"""Files for LM Studio, laid out as below its own folder, ~/.lmstudio.

The model as a link in models/PUBLISHER/MODEL/, and the model's defaults (template, stops, context)
where LM Studio keeps those of the user. Layout of models: lmstudio.ai/docs/app/basics/import-model.
The defaults' place and keys are read off what LM Studio 0.3 writes; they are not documented and
were not tried in the program.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from norcli.hosting.options import ExportOptions
from norcli.hosting.source import GgufModel
from norcli.training.conversation import choose_conversation

PUBLISHER = "norcli"
DEFAULTS = ".internal/user-concrete-model-default-config"


def link_path(model: GgufModel) -> str:
    """Return where the link to the model stands, below the folder."""
    return f"models/{PUBLISHER}/{model.name}/{Path(model.path).name}"


def defaults_path(model: GgufModel) -> str:
    """Return where the model's defaults stand, below the folder."""
    return f"{DEFAULTS}/{PUBLISHER}/{model.name}/{Path(model.path).name}.json"


def defaults(options: ExportOptions, model: GgufModel) -> str:
    """Return the model's defaults as JSON.

    Raises:
        DataError: The model has no template, and none is named.
    """
    form = choose_conversation(options.template, model.chat_template, model.eos_token, model.path)
    template = {"type": "jinja", "jinjaPromptTemplate": {"template": form.jinja},
                "stopStrings": [model.eos_token, *form.stops]}  # fmt: skip
    operation: list[dict[str, Any]] = [
        {"key": "llm.prediction.promptTemplate", "value": template},
        {"key": "llm.prediction.temperature", "value": options.temperature},
    ]
    if options.system is not None:
        operation.append({"key": "llm.prediction.systemPrompt", "value": options.system})
    load = [{"key": "llm.load.contextLength", "value": options.context or model.context}]
    content = {"preset": "", "operation": {"fields": operation}, "load": {"fields": load}}
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"
