"""Files that start vLLM on a model directory: a script, a systemd unit and a SLURM job.

vLLM reads the safetensors, not a GGUF file. The number of GPUs follows from the memory of weights
and cache. Arguments: docs.vllm.ai, ``vllm serve --help`` of version 0.33; the commands were not run
here, for there is no GPU. User text reaches a shell only quoted.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from norcli.errors import DataError
from norcli.hosting.options import ExportOptions
from norcli.hosting.source import DirectoryModel
from norcli.training.conversation import choose_conversation

GPU_GIGABYTES = {"l4": 24, "a10": 24, "a100-40gb": 40, "l40s": 48, "a100": 80, "h100": 80,
                 "h200": 141}  # fmt: skip
MEMORY_SHARE = 0.9  # vLLM's own default of --gpu-memory-utilization
GPUS_OF_A_NODE = 8
# What activations and CUDA graphs take of each GPU.
_WORKING_GIGABYTES = 3.0
_TEMPLATE_FILE = "chat_template.jinja"


def tensor_parallel(options: ExportOptions, model: DirectoryModel) -> int:
    """Return the number of GPUs: the fewest that hold weights and one full context.

    Raises:
        DataError: The GPUs of one node are not enough, or the heads cannot be shared out.
    """
    config = model.config
    context = options.context or config.max_position_embeddings
    cache = config.cache_bytes(context)
    weights = model.weights_bytes
    room = GPU_GIGABYTES[options.gpu] * MEMORY_SHARE - _WORKING_GIGABYTES
    for count in (1, 2, 4, 8):
        shares = config.num_attention_heads % count == 0
        if shares and (weights + cache) / count <= room * 1e9:
            return count
    raise DataError(
        f"takes {(weights + cache) / 1e9:.0f} GB with {context} tokens of context: more than "
        f"{GPUS_OF_A_NODE} GPUs of {GPU_GIGABYTES[options.gpu]} GB",
        path=model.path, hint="give a smaller --context or a larger --gpu",
    )  # fmt: skip


def arguments(options: ExportOptions, model: DirectoryModel, folder: Path) -> list[str]:
    """Return the words of the vLLM command.

    Raises:
        DataError: See `tensor_parallel`; or a path that cannot stand in the files.
    """
    path = str(model.path.resolve())
    for text in (path, str(folder), model.name):
        if "\n" in text or "\0" in text:
            raise DataError("has a line end in its path or name", path=model.path)
    words = [
        "vllm", "serve", path, "--served-model-name", model.name,
        "--host", "127.0.0.1", "--port", str(options.port),
        "--dtype", model.dtype,
        "--max-model-len", str(options.context or model.config.max_position_embeddings),
        "--tensor-parallel-size", str(tensor_parallel(options, model)),
        "--gpu-memory-utilization", str(MEMORY_SHARE),
    ]  # fmt: skip
    if model.is_mistral:
        return [*words, "--tokenizer-mode", "mistral", "--config-format", "mistral",
                "--load-format", "mistral", "--reasoning-parser", "mistral"]  # fmt: skip
    return [*words, "--chat-template", str(folder / _TEMPLATE_FILE)]


def files(options: ExportOptions, model: DirectoryModel, folder: Path) -> dict[str, str]:
    """Return the files by name.

    Raises:
        DataError: See `arguments`; or the model has no template, and none is named.
    """
    words = arguments(options, model, folder)
    found = {
        "serve.sh": _script(words), "vllm.service": _unit(words, model.name),
        "vllm.sbatch": _job(words, options, model),
    }  # fmt: skip
    if not model.is_mistral:
        form = choose_conversation(
            options.template, model.chat_template, model.eos_token, str(model.path)
        )
        found[_TEMPLATE_FILE] = form.jinja
    return found


def _command(words: list[str]) -> str:
    """Return the command for a shell, one option a line."""
    quoted = [shlex.quote(word) for word in words]
    lines, line = [], quoted[0]
    for word in quoted[1:]:
        if word.startswith("--"):
            lines.append(line)
            line = "  " + word
        else:
            line += " " + word
    return " \\\n".join([*lines, line])


def _script(words: list[str]) -> str:
    return f"#!/bin/sh\nset -eu\nexec {_command(words)}\n"


def _unit(words: list[str], name: str) -> str:
    """Return a systemd unit; there % and $ are doubled and words stand in double quotes."""
    shown = "".join(letter if letter.isprintable() else " " for letter in name).replace("%", "%%")
    return (
        "[Unit]\n"
        f"Description=vLLM serving {shown}\n"
        "After=network-online.target\n"
        "\n"
        "[Service]\n"
        f"ExecStart=/usr/bin/env {' '.join(map(_unit_word, words))}\n"
        "EnvironmentFile=-/etc/default/vllm\n"
        "DynamicUser=yes\n"
        "StateDirectory=vllm\n"
        "Environment=HOME=/var/lib/vllm HF_HUB_OFFLINE=1\n"
        "Restart=on-failure\n"
        "TimeoutStopSec=60\n"
        "\n"
        "[Install]\n"
        "WantedBy=multi-user.target\n"
    )


def _unit_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _job(words: list[str], options: ExportOptions, model: DirectoryModel) -> str:
    """Return a SLURM job; account and partition are the user's to add."""
    gpus = words[words.index("--tensor-parallel-size") + 1]
    plain = (letter if letter.isalnum() and letter.isascii() else "-" for letter in model.name)
    return (
        "#!/bin/bash\n"
        f"#SBATCH --job-name=vllm-{''.join(plain)}\n"
        "#SBATCH --nodes=1\n"
        "#SBATCH --ntasks=1\n"
        f"#SBATCH --gpus-per-node={gpus}\n"
        f"#SBATCH --cpus-per-task={8 * int(gpus)}\n"
        "#SBATCH --time=1-00:00:00\n"
        "#SBATCH --output=vllm-%j.log\n"
        "# Add --account and --partition here, or on sbatch's command line.\n"
        f"# For {gpus} GPU of the kind {options.gpu}; other machines reach it through ssh -L.\n"
        "set -eu\n"
        "export HF_HUB_OFFLINE=1\n"
        f"exec srun {_command(words)}\n"
    )
