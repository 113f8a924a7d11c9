"""What a GGUF file holds, from its header alone: metadata, tensors, sizes for people.

Opens at once whatever the file's size: nothing heavy is imported, and strings are decoded only
where they are shown.
"""

from __future__ import annotations

from typing import Any

from norcli.formats.gguf import GgufFile, TextArray

SHOWN_ITEMS = 4
SHOWN_LETTERS = 60


def human_bytes(size: int) -> str:
    """Return a size as ``4.57 GB``."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.2f} {unit}"
    return f"{size} bytes"


def human_count(count: int) -> str:
    """Return a number of weights as ``7.54 G``, ``1.03 M``."""
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= scale:
            return f"{count / scale:.2f} {unit}"
    return str(count)


def inspection(path: str) -> dict[str, Any]:
    """Return metadata and tensors of a GGUF file as plain data; long arrays by their head.

    Raises:
        InputMissingError: There is no such file.
        DataError: It is no GGUF file, or damaged.
    """
    file = GgufFile(path)
    weights = sum(tensor.elements for tensor in file.tensors)
    size = sum(tensor.size_bytes for tensor in file.tensors)
    return {
        "path": path,
        "version": file.version,
        "bytes": len(file.data),
        "parameters": weights,
        "bits_per_weight": round(8 * size / max(weights, 1), 4),
        "metadata": {key: _shown(value) for key, value in file.metadata.items()},
        "tensors": [
            {"name": t.name, "shape": list(t.shape), "type": t.kind.name, "bytes": t.size_bytes}
            for t in file.tensors
        ],
    }


def _shown(value: Any) -> Any:
    if isinstance(value, (TextArray, tuple)):
        return {"length": len(value), "first": list(value[:SHOWN_ITEMS])}
    return value


def inspection_text(found: dict[str, Any]) -> str:
    """Return an inspection as lines for people."""
    lines = [
        f"{found['path']}: GGUF {found['version']}, {human_bytes(found['bytes'])}, "
        f"{human_count(found['parameters'])} weights, {found['bits_per_weight']:.2f} bits each",
        "",
    ]
    width = max((len(key) for key in found["metadata"]), default=0)
    for key, value in found["metadata"].items():
        lines.append(f"{key:<{width}}  {_one_line(value)}")
    lines.append("")
    width = max((len(tensor["name"]) for tensor in found["tensors"]), default=0)
    for tensor in found["tensors"]:
        shape = " × ".join(map(str, tensor["shape"]))
        lines.append(f"{tensor['name']:<{width}}  {tensor['type']:<7} {shape}")
    return "\n".join(lines) + "\n"


def _one_line(value: Any) -> str:
    """Show a value on one line; control characters escaped, so that no file drives a terminal."""
    if isinstance(value, dict):
        items = ", ".join(_one_line(item) for item in value["first"])
        more = ", …" if value["length"] > len(value["first"]) else ""
        return f"[{items}{more}] ({value['length']})"
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
    return escaped if len(escaped) <= SHOWN_LETTERS else escaped[: SHOWN_LETTERS - 1] + "…"
