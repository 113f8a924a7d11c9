"""Options of ``norcli serve`` and ``norcli export``. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from norcli.options import INPUT, OUTPUT, GeneralOptions, option

NETWORK = "Network"
MODEL = "Model"
TARGET = "Target"

TEMPLATE_CHOICES = ("auto", "norwai", "norwai-en")
TARGETS = ("ollama", "vllm", "lmstudio")


@dataclass(kw_only=True)
class ServeOptions(GeneralOptions):
    """Options of ``norcli serve``."""

    model: str = option(
        help="GGUF file to serve", group=INPUT, positional=True, metavar="MODEL",
        complete="file:.gguf",
    )  # fmt: skip
    host: str = option("127.0.0.1", help="Address to listen on", group=NETWORK, metavar="ADDRESS")
    port: int = option(
        8080, help="Port to listen on, 0 for any that is free", group=NETWORK, minimum=0,
        maximum=65535,
    )  # fmt: skip
    api_key_file: str | None = option(
        None, help="Ask for one of the keys in this file, one a line", group=NETWORK,
        metavar="FILE", complete="file", default_text="NORCLI_API_KEY, else no key",
    )  # fmt: skip
    no_key: bool = option(
        False, help="Serve other machines without a key", group=NETWORK, in_config=False
    )
    cors_origin: str | None = option(
        None, help="Let web pages of this origin ask", group=NETWORK, metavar="ORIGIN",
        default_text="none",
    )  # fmt: skip
    alias: str | None = option(
        None, help="Name of the model for clients", group=MODEL, default_text="name of the file"
    )
    template: str = option(
        "auto", help="Words around a conversation; auto takes what is stored in the file",
        group=MODEL, choices=TEMPLATE_CHOICES,
    )  # fmt: skip
    adapter: list[str] = option(
        default_factory=list, help="Lay these GGUF LoRA adapters over the model", group=MODEL,
        metavar="FILE", complete="file:.gguf",
    )  # fmt: skip
    context: int | None = option(
        None, help="Tokens that a prompt and its answer may have together", group=MODEL,
        minimum=16, default_text="the model's, at most 4096",
    )  # fmt: skip
    parallel: int = option(
        1, help="Requests to answer at the same time, each with its own context", group=MODEL,
        minimum=1, maximum=256,
    )  # fmt: skip


@dataclass(kw_only=True)
class ExportOptions(GeneralOptions):
    """Options of ``norcli export``."""

    model: str = option(
        help="GGUF file (ollama, lmstudio) or Hugging Face directory (vllm)", group=INPUT,
        positional=True, metavar="MODEL", complete="file:.gguf",
    )  # fmt: skip
    for_: str = option(help="Program to write files for", group=TARGET, choices=TARGETS)
    output: str | None = option(
        None, help="Folder to write", group=OUTPUT, short="o", metavar="DIR", complete="dir",
        default_text="name of the model and the program",
    )  # fmt: skip
    overwrite: bool = option(
        False, help="Replace an output that exists", group=OUTPUT, in_config=False
    )
    name: str | None = option(
        None, help="Name of the model for clients", group=TARGET,
        default_text="name of the file or folder",
    )  # fmt: skip
    template: str = option(
        "auto", help="Words around a conversation; auto takes what is stored with the model",
        group=TARGET, choices=("auto", "norwai", "norwai-en", "mistral", "magistral"),
    )  # fmt: skip
    system: str | None = option(None, help="System message of every conversation", group=TARGET)
    temperature: float = option(
        0.7, help="Randomness of the answers", group=TARGET, minimum=0.0, maximum=10.0
    )
    context: int | None = option(
        None, help="Tokens that a prompt and its answer may have together", group=TARGET,
        minimum=16, default_text="the model's",
    )  # fmt: skip
    gpu: str = option(
        "h100", help="GPU that vllm will run on", group=TARGET,
        choices=("l4", "a10", "l40s", "a100-40gb", "a100", "h100", "h200"),
    )  # fmt: skip
    port: int = option(
        8000, help="Port that vllm will listen on", group=TARGET, minimum=1, maximum=65535
    )
