"""The reward model: the policy's layers with a scalar head, learnt from scored candidates.

Pairwise: candidates of one prompt are ranked by score, and the model learns to put the better one
higher (Bradley and Terry; Ouyang et al. 2022, eq. 1). Regression: it learns the score itself.
Report section 3.3.2, step 2.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from norcli.alignment.generation import seeded_generator
from norcli.alignment.options import RewardModelOptions
from norcli.alignment.prompts import begin_ids
from norcli.alignment.sample import load_policy, prompt_encoder
from norcli.alignment.score import check_candidates
from norcli.cluster.placement import Placement
from norcli.console import Console
from norcli.errors import DataError
from norcli.formats.documents import BadRecords, Place, read_records
from norcli.streams import atomic_directory, check_output, require_directory
from norcli.tokens.huggingface import Tokenizer
from norcli.training.checkpoint import save_model_directory, write_json
from norcli.training.distributed import choose_device
from norcli.training.instructions import continuation
from norcli.training.model_config import context_of, read_model_config

HEAD_FILE = "reward_head.safetensors"
REPORT_FILE = "reward.json"


class ScalarModel(nn.Module):
    """A causal language model that gives one number for each token.

    Args:
        model: A transformers causal model; its language-model head is not used.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.causal = model
        # Nothing flows through the language-model head: without a gradient it has no place in an
        # optimizer or its checkpoints. A tied head is the embedding and stays.
        used = {id(parameter) for parameter in model.base_model.parameters()}
        for parameter in model.parameters():
            parameter.requires_grad_(id(parameter) in used)
        self.head = nn.Linear(int(model.config.hidden_size), 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return numbers of shape (B, T) for tokens padded on the right."""
        ids, mask = ids.to(self.causal.device), mask.to(self.causal.device)
        hidden = self.causal.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        return self.head(hidden).squeeze(-1).float()

    def score(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the number at the last token of each row, shape (B,)."""
        values = self(ids, mask)
        last = mask.sum(1, keepdim=True).to(values.device) - 1
        return values.gather(1, last).squeeze(1)


def load_scalar_model(directory: str, device: torch.device) -> ScalarModel:
    """Load a reward model's directory onto a device.

    Raises:
        DataError: It was not written by `norcli rlhf reward-model`.
    """
    folder = require_directory(directory, "a reward model directory")
    if not (folder / HEAD_FILE).is_file():
        raise DataError(f"holds no reward model: no {HEAD_FILE}", path=folder,
                        hint="make one with norcli rlhf reward-model")  # fmt: skip
    model = ScalarModel(load_policy(directory, device)).to(device)
    model.head.load_state_dict(load_file(folder / HEAD_FILE))
    return model


def pad_right(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Return ids and attention mask of shape (B, T), padding behind."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad_id)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        mask[index, : len(row)] = 1
    return ids, mask


def pairwise_loss(rewards: Tensor, scores: Tensor) -> Tensor:
    """Return the mean of -log sigmoid(r_better - r_worse) over all pairs of one prompt.

    Args:
        rewards: The model's numbers, shape (K,).
        scores: What ranks the candidates, shape (K,); equal scores make no pair.
    """
    better = scores.unsqueeze(1) > scores.unsqueeze(0)  # (K, K)
    gaps = rewards.unsqueeze(1) - rewards.unsqueeze(0)
    if not bool(better.any()):
        return rewards.sum() * 0
    return -F.logsigmoid(gaps[better]).mean()


@dataclass(frozen=True, slots=True)
class ScoredPrompt:
    """Candidates of one prompt as token rows, with their scores."""

    rows: list[list[int]]
    scores: list[float]


def check_scores(record: dict[str, Any], place: Place) -> None:
    """Check that a record has a prompt, candidates, and a number for each of them.

    Raises:
        DataError: It has not.
    """
    check_candidates(record, place)
    count = len(record["completions"])
    hint = "make such records with norcli rlhf sample"
    if not isinstance(record.get("prompt"), str):
        raise DataError('record has no "prompt" text', path=place.path, line=place.line, hint=hint)
    ended = record.get("ended", [True] * count)
    if not isinstance(ended, list) or len(ended) != count:
        raise DataError('"ended" does not fit the completions', path=place.path, line=place.line,
                        hint=hint)  # fmt: skip
    scores = record.get("scores")
    numbers = isinstance(scores, list) and all(isinstance(s, (int, float)) for s in scores)
    if not numbers or len(scores or []) != count:
        raise DataError('record has no "scores" for its completions', path=place.path,
                        line=place.line, hint="add them with norcli rlhf score")  # fmt: skip


def read_scored(
    options: RewardModelOptions, tokenizer: Tokenizer, context: int, console: Console
) -> list[ScoredPrompt]:
    """Read records with prompt, completions and scores.

    Raises:
        DataError: A record without them (--on-bad-record stop), or no record at all.
    """
    begin = begin_ids(options.model, tokenizer)
    result = []
    bad = BadRecords(options, console)
    for place, record in read_records(options, console, bad):
        try:
            check_scores(record, place)
        except DataError as error:
            bad.handle(error)
            continue
        prompt = record["prompt"]
        request = tokenizer.encode(prompt)
        ended = record.get("ended", [True] * len(record["completions"]))
        rows = []
        for text, whole in zip(record["completions"], ended, strict=True):
            answer = continuation(tokenizer, prompt, request, f" {text}" if text else "")
            # An answer that was cut off is scored as PPO will meet it: without an end token.
            end = [tokenizer.eos_id or 0] if whole else []
            rows.append([*begin, *request, *answer, *end][-context:])
        result.append(ScoredPrompt(rows, [float(score) for score in record["scores"]]))
    bad.report()
    if not result:
        raise DataError("no scored candidates to learn from",
                        path=options.inputs[0] if options.inputs else "<stdin>")  # fmt: skip
    return result


def train_reward_model(options: RewardModelOptions, console: Console) -> dict[str, Any]:
    """Train a reward model and write its directory.

    Returns:
        Counts, the last loss, and the share of pairs ranked rightly before and after.
    """
    check_output(options.output, options.overwrite)
    _, tokenizer = prompt_encoder(options.model, _NoPrompts())
    config = read_model_config(Path(options.model))
    prompts = read_scored(options, tokenizer, context_of(config), console)
    device = choose_device(Placement(), options.jobs)
    torch.manual_seed(options.seed)
    model = ScalarModel(load_policy(options.model, device)).to(device)
    model.eval()  # no dropout: the policy it scores is compared without it, too
    pad = tokenizer.eos_id or 0
    before = ranked_rightly(model, prompts, pad)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=options.reward_lr, weight_decay=0.0)
    loss = 0.0
    steps = -(-len(prompts) // options.reward_batch) * options.reward_epochs
    with console.progress("reward model", steps, "steps") as progress:
        for epoch in range(options.reward_epochs):
            order = torch.randperm(len(prompts), generator=seeded_generator(options.seed, epoch))
            for start in range(0, len(prompts), options.reward_batch):
                batch = [prompts[i] for i in order[start : start + options.reward_batch].tolist()]
                loss = _learn(model, optimizer, batch, pad, options.objective)
                progress.advance(1, f"loss {loss:.3f}")
    report = {
        "prompts": len(prompts), "candidates": sum(len(p.rows) for p in prompts), "loss": loss,
        "objective": options.objective, "ranked_rightly_before": before,
        "ranked_rightly": ranked_rightly(model, prompts, pad),
    }  # fmt: skip
    with atomic_directory(options.output, overwrite=options.overwrite) as folder:
        save_model_directory(model.causal, options.model, folder)
        save_file({k: v.cpu().contiguous() for k, v in model.head.state_dict().items()},
                  folder / HEAD_FILE)  # fmt: skip
        write_json(folder / REPORT_FILE, report)
    return report


@dataclass
class _NoPrompts:
    """Settings of a prompt encoder that is made only to check the model directory."""

    instruction: str = ""
    too_long: str = "stop"
    max_new_tokens: int = 0


def _learn(
    model: ScalarModel, optimizer: torch.optim.Optimizer, batch: list[ScoredPrompt], pad: int,
    objective: str,
) -> float:  # fmt: skip
    ids, mask = pad_right([row for prompt in batch for row in prompt.rows], pad)
    rewards = model.score(ids, mask)
    losses, start = [], 0
    for prompt in batch:
        ours = rewards[start : start + len(prompt.rows)]
        target = torch.tensor(prompt.scores, device=ours.device)
        start += len(prompt.rows)
        losses.append(
            pairwise_loss(ours, target) if objective == "pairwise" else F.mse_loss(ours, target)
        )
    loss = torch.stack(losses).mean()
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


@torch.inference_mode()
def ranked_rightly(model: ScalarModel, prompts: list[ScoredPrompt], pad: int) -> float:
    """Return the share of candidate pairs that the model ranks as the scores do; ties are half."""
    right = total = 0.0
    for prompt in prompts:
        rewards = model.score(*pad_right(prompt.rows, pad))
        scores = torch.tensor(prompt.scores, device=rewards.device)
        better = scores.unsqueeze(1) > scores.unsqueeze(0)
        gaps = (rewards.unsqueeze(1) - rewards.unsqueeze(0))[better]
        right += float((gaps > 0).sum()) + 0.5 * float((gaps == 0).sum())
        total += gaps.numel()
    return right / total if total else 0.5


def reward_facts(directory: str) -> dict[str, Any]:
    """Return what was written about a reward model when it was trained."""
    facts: dict[str, Any] = json.loads((Path(directory) / REPORT_FILE).read_text(encoding="utf-8"))
    return facts


__all__ = [
    "ScalarModel", "load_scalar_model", "pad_right", "pairwise_loss",
    "ranked_rightly", "reward_facts", "train_reward_model",
]  # fmt: skip
