"""Write the model of tests/cases/quantize/models: a GPT-2 of 21 k random weights, 32 wide.

    python tests/quantize/make_case_model.py tests/cases/quantize/models/tiny

Seeded; run again only when the cases need another model.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from small_models import train_sentencepiece

HIDDEN, WORDS, POSITIONS = 32, 320, 32


def main(directory: Path) -> None:
    directory.mkdir(parents=True)
    random = np.random.default_rng(0)
    shapes = {
        "transformer.wte.weight": (WORDS, HIDDEN), "transformer.wpe.weight": (POSITIONS, HIDDEN),
        "transformer.h.0.attn.c_attn.weight": (HIDDEN, 3 * HIDDEN),
        "transformer.h.0.attn.c_attn.bias": (3 * HIDDEN,),
        "transformer.h.0.attn.c_proj.weight": (HIDDEN, HIDDEN),
        "transformer.h.0.attn.c_proj.bias": (HIDDEN,),
        "transformer.h.0.mlp.c_fc.weight": (HIDDEN, 2 * HIDDEN),
        "transformer.h.0.mlp.c_fc.bias": (2 * HIDDEN,),
        "transformer.h.0.mlp.c_proj.weight": (2 * HIDDEN, HIDDEN),
        "transformer.h.0.mlp.c_proj.bias": (HIDDEN,),
    }  # fmt: skip
    for name in ("h.0.ln_1", "h.0.ln_2", "ln_f"):
        shapes |= {f"transformer.{name}.{part}": (HIDDEN,) for part in ("weight", "bias")}
    weights = {
        name: (random.standard_normal(shape) * 0.02).astype(np.float16)
        for name, shape in shapes.items()
    }
    save_file(weights, directory / "model.safetensors")
    config = {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": HIDDEN, "n_head": 2,
        "n_layer": 1, "n_positions": POSITIONS, "n_inner": 2 * HIDDEN, "vocab_size": WORDS,
        "activation_function": "gelu_new", "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    (directory / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = train_sentencepiece(Path(folder), vocab_size=WORDS - 4)
        shutil.copy(vocabulary, directory / "tokenizer.model")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
