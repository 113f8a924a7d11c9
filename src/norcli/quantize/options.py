"""Options of ``norcli quantize`` and ``norcli quantize inspect``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from norcli.errors import UsageError
from norcli.options import INPUT, GeneralOptions, OutputOptions, option

CONVERSATIONS = ("norwai", "norwai-en", "mistral", "magistral")
IMPORTANCE = "Importance matrix"
REPORT = "Report"

# What only the conversion of a model makes use of.
OF_MODELS = (
    "adapter",
    "chat_template",
    "imatrix",
    "save_imatrix",
    "report",
    "report_text",
    "context",
)

# In the order of size; the names are GGUF's.
TYPE_NAMES = ("F32", "BF16", "F16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q5_1", "Q5_0", "Q4_K_M",
              "Q4_K_S", "Q4_1", "Q4_0", "Q3_K_L", "Q3_K_M", "Q3_K_S")  # fmt: skip


@dataclass(kw_only=True)
class QuantizeOptions(OutputOptions, GeneralOptions):
    """Options of ``norcli quantize``."""

    model: str = option(
        help="Hugging Face model directory, LoRA adapter directory, or GGUF file of 16 or 32 bits",
        group=INPUT, positional=True, metavar="MODEL", complete="file:.gguf", in_config=False,
    )  # fmt: skip
    type: list[str] = option(
        default_factory=list, help="Type of the file; several give several files",
        group="Quantization", choices=TYPE_NAMES, metavar="TYPE",
        default_text="Q4_K_M; F16 for an adapter or decoded weights",
    )  # fmt: skip
    info: bool = option(
        False, help="Show what a GGUF file holds, as quantize inspect does", group="Quantization",
        in_config=False,
    )  # fmt: skip
    chat_template: str | None = option(
        None, help="Write this form of conversation instead of the one stored with the model",
        group="Quantization", choices=CONVERSATIONS, default_text="the model's own",
    )  # fmt: skip
    to_safetensors: bool = option(
        False, help="Write a GGUF file back as a model directory, weights decoded",
        group="Quantization",
    )  # fmt: skip
    name: str | None = option(
        None, help="Name of the model in the file", group="Quantization",
        default_text="name of the directory",
    )  # fmt: skip
    adapter: str | None = option(
        None, help="Merge this LoRA adapter into the weights while they are read", group=INPUT,
        metavar="DIR", complete="dir",
    )  # fmt: skip
    base_model: str | None = option(
        None, help="Base model of the adapter that is converted", group=INPUT, metavar="DIR",
        complete="dir", default_text="what the adapter names",
    )  # fmt: skip
    imatrix: str | None = option(
        None, help="Weigh errors by this importance matrix, or by one computed from this text",
        group=IMPORTANCE, metavar="FILE", complete="file",
    )  # fmt: skip
    save_imatrix: str | None = option(
        None, help="Write the importance matrix as GGUF, for llama-quantize or a later run",
        group=IMPORTANCE, metavar="FILE", complete="file:.gguf",
    )  # fmt: skip
    imatrix_chunk: int = option(
        512, help="Tokens that the model reads at once", group=IMPORTANCE, minimum=8
    )
    imatrix_tokens: int = option(
        131072, help="Tokens of the text to read at most", group=IMPORTANCE, minimum=8
    )
    report: bool = option(
        False, help="Print sizes, types, errors by tensor and the memory that is needed",
        group=REPORT,
    )  # fmt: skip
    report_text: str | None = option(
        None, help="Report also perplexity and divergence from the source on this text",
        group=REPORT, metavar="FILE", complete="file",
    )  # fmt: skip
    report_chunk: int = option(
        512, help="Tokens that the models read at once; the second half is judged",
        group=REPORT, minimum=16,
    )  # fmt: skip
    report_tokens: int = option(
        51200, help="Tokens of the text to read at most", group=REPORT, minimum=16
    )
    context: int | None = option(
        None, help="Report the memory for this many tokens of context", group=REPORT, minimum=1,
        default_text="the model's, at most 4096",
    )  # fmt: skip
    device: str = option(
        "cpu", help="Where the K types are worked out; the bytes are the same",
        group="Quantization", choices=("cpu", "cuda"),
    )  # fmt: skip
    allow_tokenizer_mismatch: bool = option(
        False, help="Write the file even if llama.cpp tokenizes differently from the source",
        group="Quantization",
    )  # fmt: skip

    def refuse(self, names: Sequence[str], what: str) -> None:
        """Refuse options that what is to be done makes no use of.

        Raises:
            UsageError: One of them is given.
        """
        for name in names:
            if getattr(self, name):
                raise UsageError(f"--{name.replace('_', '-')} has no meaning for {what}")

    def types(self, default: str = "Q4_K_M") -> list[str]:
        """Return the types to make, each once."""
        return list(dict.fromkeys(self.type)) or [default]


@dataclass(kw_only=True)
class InspectOptions(GeneralOptions):
    """Options of ``norcli quantize inspect``."""

    file: str = option(
        help="GGUF file to show", group=INPUT, positional=True, metavar="FILE",
        complete="file:.gguf", in_config=False,
    )  # fmt: skip
