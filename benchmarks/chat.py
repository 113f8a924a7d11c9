"""Time to the first token: norcli chat on a GGUF file against transformers on the directory.

Both are fresh processes that answer the same prompt with the same small Llama;
wall time to the first byte of the answer, and CPU time to the end of it. Usage:
``python benchmarks/chat.py MODEL_DIR MODEL.gguf``.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time

from recording import record

# sentencepiece itself, which loads faster than the tokenizer classes of transformers.
PEER = """
import sys, torch, sentencepiece
from transformers import AutoModelForCausalLM
torch.set_num_threads(1)
pieces = sentencepiece.SentencePieceProcessor(sys.argv[1] + "/tokenizer.model")
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype="float32")
ids = torch.tensor([[1, *pieces.encode("Hva er Norges lengste elv?\\n\\nSvar:")]])
class Streamer:
    prompt = True
    def put(self, value):
        if not self.prompt:
            sys.stdout.write(pieces.id_to_piece(int(value[0])))
            sys.stdout.flush()
        self.prompt = False
    def end(self):
        pass
model.generate(input_ids=ids, streamer=Streamer(), max_new_tokens=16, do_sample=False)
"""


def first_byte(command: list[str]) -> tuple[float, float]:
    """Return seconds to the first byte, and CPU seconds of the whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    if not process.stdout.read(1):
        raise SystemExit(f"no answer from {command[:4]}")
    wall = time.perf_counter() - started
    process.stdout.read()
    process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(directory: str, gguf: str, runs: int = 3) -> None:
    """Time both, in turns, and record the medians."""
    ours = [sys.executable, "-m", "norcli", "chat", gguf, "--prompt", "Hva er Norges lengste elv?",
            "--max-new-tokens", "16"]  # fmt: skip
    peer = [sys.executable, "-c", PEER, directory]
    first_byte(ours), first_byte(peer)
    pairs = [(first_byte(ours), first_byte(peer)) for _ in range(runs)]
    wall, cpu = (statistics.median(pair[0][i] for pair in pairs) for i in (0, 1))
    peer_wall, peer_cpu = (statistics.median(pair[1][i] for pair in pairs) for i in (0, 1))
    record("chat", {
        "peer": "transformers", "runs": runs,
        "first_token_wall_seconds": round(wall, 3), "cpu_seconds": round(cpu, 3),
        "peer_first_token_wall_seconds": round(peer_wall, 3),
        "peer_cpu_seconds": round(peer_cpu, 3),
        "wall_ratio": round(peer_wall / wall, 1), "cpu_ratio": round(peer_cpu / cpu, 1),
    })  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
