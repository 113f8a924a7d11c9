"""Quantization: kernels and whole conversions beside llama.cpp, in the same run.

    python benchmarks/quantize.py [--layers 24] [--types Q3_K_M,Q4_K_M,...] [--jobs 1]
        [--llama-cpp TREE --llama-bin FOLDER]

Kernels: millions of weights per CPU-second on one core for 4 M normal weights, beside llama.cpp's
`ggml_quantize_chunk` (from the xllamacpp package), with the bytes compared. Whole conversions: a
Llama with random bfloat16 weights (--layers 24: 374 M parameters) from a Hugging Face directory to
GGUF by norcli, each in a process of its own with compiled kernels, beside llama.cpp's quantizer
(from cyllama) working on a bfloat16 GGUF that norcli made before: the peer's conversion step and
its imports are not even counted. Tensors of both files are compared byte by byte. Counted are user
and system CPU seconds, wall seconds and peak memory of each process.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.metadata
import importlib.util
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from recording import record

from norcli.formats.gguf import BLOCKS, GgufFile
from norcli.quantize.kernels.encode import ENCODED_TYPES, encode
from norcli.quantize.types import QUANTIZATIONS

HIDDEN, INNER, VOCAB, HEADS = 1024, 2816, 32000, 16


def best_cpu(work: Any, repeats: int = 3) -> float:
    best = float("inf")
    for _ in range(repeats):
        begin = time.process_time()
        work()
        best = min(best, time.process_time() - begin)
    return best


def compare_kernels() -> dict[str, Any]:
    spec = importlib.util.find_spec("xllamacpp")
    assert spec is not None and spec.origin is not None, "needs xllamacpp"
    library = ctypes.CDLL(str(next(Path(spec.origin).parent.glob("*.so"))))
    peer = library.ggml_quantize_chunk
    peer.restype = ctypes.c_size_t
    peer.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3,
                     ctypes.c_void_p]  # fmt: skip
    values = np.random.default_rng(1).standard_normal((1024, 4096), np.float32)
    results: dict[str, Any] = {}
    for kind in ENCODED_TYPES:
        block, size = BLOCKS[kind]
        if block == 1:
            continue
        out = np.zeros(values.size // block * size, np.uint8)
        flat = values.reshape(-1)
        ours = encode(flat, kind)  # compiled and warm after this
        mine = best_cpu(lambda flat=flat, kind=kind: encode(flat, kind))
        theirs = best_cpu(
            lambda kind=kind, out=out: peer(
                int(kind), values.ctypes.data, out.ctypes.data, 0, *values.shape, None
            )
        )
        results[kind.name] = {
            "norcli_mw_s": round(values.size / mine / 1e6, 1),
            "llama_cpp_mw_s": round(values.size / theirs / 1e6, 1),
            "equal_bytes": bool(np.array_equal(ours, out)),
        }
        print(kind.name, results[kind.name])
    return results


def write_model(directory: Path, layers: int) -> int:
    """Write a Llama with random bfloat16 weights and a byte vocabulary; return its parameters."""
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (VOCAB, HIDDEN), "lm_head.weight": (VOCAB, HIDDEN),
        "model.norm.weight": (HIDDEN,),
    }  # fmt: skip
    for i in range(layers):
        p = f"model.layers.{i}."
        shapes |= {f"{p}self_attn.{x}_proj.weight": (HIDDEN, HIDDEN) for x in "qkvo"}
        shapes |= {f"{p}mlp.{x}_proj.weight": (INNER, HIDDEN) for x in ("gate", "up")}
        shapes |= {f"{p}mlp.down_proj.weight": (HIDDEN, INNER)}
        shapes |= {f"{p}{x}_layernorm.weight": (HIDDEN,) for x in ("input", "post_attention")}
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    random = np.random.default_rng(0)
    with (directory / "model.safetensors").open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for shape in shapes.values():
            weights = random.standard_normal(shape, np.float32) * np.float32(0.02)
            stream.write((weights.view(np.uint32) >> 16).astype(np.uint16).tobytes())
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": VOCAB,
        "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": layers,
        "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 2048, "rope_theta": 10000.0, "tie_word_embeddings": False,
    }  # fmt: skip
    (directory / "config.json").write_text(json.dumps(config))
    write_tokenizer(directory)
    return offset // 2


def write_tokenizer(directory: Path) -> None:
    """Train a small SentencePiece vocabulary on the example corpus; the rows go beyond it."""
    from sentencepiece import SentencePieceTrainer

    examples = Path(__file__).resolve().parent.parent / "examples" / "data"
    text = directory / "text.txt"
    lines = [line for file in sorted(examples.glob("*.jsonl"))
             for line in file.read_text(encoding="utf-8").splitlines()]  # fmt: skip
    text.write_text("\n".join(lines), encoding="utf-8")
    SentencePieceTrainer.train(
        input=str(text), model_prefix=str(directory / "tokenizer"), vocab_size=2000,
        model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, minloglevel=2, num_threads=1,
    )  # fmt: skip
    text.unlink()


# A process inherits the peak memory of the one it was forked from, and this one compares whole
# files: a small process in between starts and measures each command.
MEASURE = """
import json, os, subprocess, sys, time
begin = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
print(json.dumps({"exit": process.returncode,
                  "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
                  "wall_seconds": round(time.perf_counter() - begin, 2),
                  "peak_mb": round(usage.ru_maxrss / 1000)}))
"""


def measure(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Run a process; return its CPU and wall seconds and its peak memory in MB."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *command], env=environment, capture_output=True, check=True
    )
    result: dict[str, float] = json.loads(done.stdout)
    if result.pop("exit"):
        raise RuntimeError(f"{command} failed")
    return result


PEER = """
import sys
import cyllama.llama.llama_cpp as llama
llama.disable_logging()
parameters = llama.LlamaModelQuantizeParams()
parameters.ftype, parameters.nthread = int(sys.argv[3]), int(sys.argv[4])
llama.model_quantize(sys.argv[1], sys.argv[2], parameters)
"""


def same_tensors(first: Path, second: Path) -> bool:
    a, b = GgufFile(str(first)), GgufFile(str(second))
    others = {tensor.name: tensor for tensor in b.tensors}
    return len(others) == len(a.tensors) and all(
        tensor.kind == others[tensor.name].kind
        and a.tensor_data(tensor) == b.tensor_data(others[tensor.name])
        for tensor in a.tensors
    )


def compare_tools(
    folder: Path, types: list[str], jobs: int, tree: str, binaries: str
) -> dict[str, Any]:
    """Measure convert_hf_to_gguf.py and llama-quantize on the same model, step by step."""
    environment = os.environ | {"LD_LIBRARY_PATH": binaries}
    bf16 = folder / "peer-bf16.gguf"
    convert = measure(
        [sys.executable, f"{tree}/convert_hf_to_gguf.py", str(folder / "model"), "--outtype",
         "bf16", "--outfile", str(bf16)],
        environment,
    )  # fmt: skip
    results: dict[str, Any] = {"convert_hf_to_gguf": convert}
    for kind in types:
        target = folder / "peer.gguf"
        made = measure([f"{binaries}/llama-quantize", str(bf16), str(target), kind, str(jobs)],
                       environment)  # fmt: skip
        ours = measure(
            [sys.executable, "-m", "norcli", "quantize", str(folder / "model"), "--type", kind,
             "-o", str(folder / "ours.gguf"), "--overwrite", "-j", str(jobs)],
            dict(os.environ),
        )  # fmt: skip
        both = {key: convert[key] + made[key] for key in ("cpu_seconds", "wall_seconds")}
        results[kind] = {
            "norcli": ours, "llama_quantize": made,
            "equal_tensors": same_tensors(folder / "ours.gguf", target),
            "cpu_ratio": round(both["cpu_seconds"] / ours["cpu_seconds"], 2),
            "wall_ratio": round(both["wall_seconds"] / ours["wall_seconds"], 2),
        }  # fmt: skip
        print("tools", kind, results[kind])
    return results


def compare_models(folder: Path, layers: int, types: list[str], jobs: int) -> dict[str, Any]:
    source = folder / "model"
    source.mkdir()
    parameters = write_model(source, layers)
    environment = dict(os.environ)

    def norcli(kind: str, env: dict[str, str]) -> dict[str, float]:
        command = [sys.executable, "-m", "norcli", "quantize", str(source), "--type", kind, "-o",
                   str(folder / f"{kind}.gguf"), "--overwrite", "-j", str(jobs)]  # fmt: skip
        return measure(command, env)

    norcli("BF16", environment)
    results: dict[str, Any] = {"parameters": parameters, "jobs": jobs}
    for kind in types:
        number = str(QUANTIZATIONS[kind].file_type)
        ours = norcli(kind, environment)
        theirs = measure(
            [sys.executable, "-c", PEER, str(folder / "BF16.gguf"), str(folder / "peer.gguf"),
             number, str(jobs)],
            environment,
        )  # fmt: skip
        equal = same_tensors(folder / f"{kind}.gguf", folder / "peer.gguf")
        results[kind] = {
            "norcli": ours, "llama_cpp": theirs, "equal_tensors": equal,
            "cpu_ratio": round(theirs["cpu_seconds"] / ours["cpu_seconds"], 2),
            "bytes": (folder / f"{kind}.gguf").stat().st_size,
        }  # fmt: skip
        print(kind, results[kind])
        (folder / f"{kind}.gguf").unlink()
    with tempfile.TemporaryDirectory() as cache:
        results["Q4_K_M cold kernels"] = norcli("Q4_K_M", environment | {"NUMBA_CACHE_DIR": cache})
        print("cold", results["Q4_K_M cold kernels"])
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--types", default="Q3_K_M,Q4_K_M,Q5_K_M,Q6_K,Q8_0,Q4_0")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--folder", help="where the models are made, by default $TMPDIR")
    parser.add_argument("--llama-cpp", help="a source tree of llama.cpp, for its converter")
    parser.add_argument("--llama-bin", help="the folder of its built llama-quantize")
    arguments = parser.parse_args()
    versions = {name: importlib.metadata.version(name) for name in ("xllamacpp", "cyllama")}
    kernels = compare_kernels()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        models = compare_models(
            Path(folder), arguments.layers, arguments.types.split(","), arguments.jobs
        )
        if arguments.llama_cpp and arguments.llama_bin:
            models["tools"] = compare_tools(
                Path(folder), arguments.types.split(","), arguments.jobs, arguments.llama_cpp,
                arguments.llama_bin,
            )  # fmt: skip
    record("quantize", {"peers": versions, "kernels": kernels, "models": models})


if __name__ == "__main__":
    main()
