"""PPO on answers: sample, score, learn, at a price for leaving the reference policy.

Report section 3.3.2, step 3. The score comes from a reward model or straight from the similarity
to the reference. The value model is apart from the policy and starts from the reward model where
there is one, as in DeepSpeed-Chat. Every random choice is a function of seed and step, so a run
that was stopped goes on to the same weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from norcli.alignment.generation import sample_answers, seeded_generator
from norcli.alignment.options import PpoSettings, SamplingOptions
from norcli.alignment.ppo_loss import (
    advantages_and_returns,
    next_kl_coef,
    policy_loss,
    token_log_probs,
    token_rewards,
    value_loss,
    whiten,
)
from norcli.alignment.prompts import Prompt
from norcli.alignment.reward_model import ScalarModel, pad_right
from norcli.alignment.sample import decode_answer
from norcli.console import Console
from norcli.errors import NorcliError, ResumableStopError
from norcli.streams import StopRequest, stop_requests
from norcli.tokens.huggingface import Tokenizer
from norcli.training.checkpoint import (
    Progress,
    RunDirectory,
    load_optimizer_state,
    load_weights,
    save_model_directory,
)
from norcli.training.optimizer import build_optimizer, optimizer_state, restore_optimizer

Scorer = Callable[[list[Prompt], list[list[int]]], list[float]]


@dataclass
class AdamSettings:
    """What `build_optimizer` asks for; no weight decay, so nothing pulls away from the start."""

    lr: float
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.95


@dataclass(frozen=True, slots=True)
class Rollout:
    """Answers of one round, padded behind; B answers of at most T tokens.

    Attributes:
        ids: Prompt and answer, (B, P + T).
        attention: 1 where there is a token, (B, P + T).
        where: For each token of the answers, the position whose logits predict it, (B, T).
        targets: The answers' tokens, (B, T).
        mask: 1 for the tokens of the answers, (B, T).
        log_probs: Of the policy that wrote them, (B, T).
        values: Of the value model, (B, T).
        advantages: Whitened, (B, T).
        returns: Targets of the value model, (B, T).
    """

    ids: Tensor
    attention: Tensor
    where: Tensor
    targets: Tensor
    mask: Tensor
    log_probs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor

    def part(self, rows: Tensor) -> Rollout:
        """Return some of the answers."""
        names = self.__slots__
        return Rollout(**{name: getattr(self, name)[rows] for name in names})


@dataclass
class Learner:
    """The models of a run.

    Attributes:
        policy: What is optimized.
        reference: The frozen policy it started from.
        value: Predicts the return at each token.
        tokenizer: The policy's.
        score: Gives each answer its reward.
    """

    policy: Any
    reference: Any
    value: ScalarModel
    tokenizer: Tokenizer
    score: Scorer

    @property
    def device(self) -> torch.device:
        """Where the models are."""
        device: torch.device = self.policy.device
        return device

    def networks(self) -> nn.ModuleDict:
        """Return policy and value model as one module, for optimizer and checkpoints."""
        return nn.ModuleDict({"policy": self.policy, "value": self.value})


class PpoOptionsLike(PpoSettings, SamplingOptions):
    """The options that PPO reads, from rlhf or rlhf ppo."""

    seed: int
    output: str
    overwrite: bool


def answer_log_probs(model: Any, ids: Tensor, attention: Tensor, where: Tensor,
                     targets: Tensor, temperature: float) -> Tensor:  # fmt: skip
    """Return log-probabilities (B, T) of answers under a policy at its sampling temperature.

    Only the answers' positions pass the language-model head.
    """
    hidden = model.base_model(input_ids=ids, attention_mask=attention).last_hidden_state
    rows = torch.arange(len(ids), device=ids.device).unsqueeze(1)
    logits = model.get_output_embeddings()(hidden[rows, where]).float()  # (B, T, V)
    return token_log_probs(logits / max(temperature, 1e-6), targets)


def collect(
    learner: Learner, prompts: list[Prompt], options: PpoOptionsLike, step: int, kl_coef: float
) -> tuple[Rollout, dict[str, float]]:
    """Sample and score the answers of one round.

    Returns:
        The rollout, and means for the log: score, nats from the reference policy, tokens.
    """
    end = learner.tokenizer.eos_id or 0
    answers = sample_answers(
        learner.policy, [p.ids for p in prompts], max_new_tokens=options.max_new_tokens,
        temperature=options.temperature or 1.0, eos_id=end,
        generators=[seeded_generator(options.seed, step, row) for row in range(len(prompts))],
    )  # fmt: skip
    raw = torch.tensor(learner.score(prompts, answers))
    scores = raw.clamp(-options.reward_clip, options.reward_clip)
    ids, attention = pad_right([p.ids + a for p, a in zip(prompts, answers, strict=True)], end)
    targets, mask = pad_right(answers, end)
    begins = torch.tensor([len(p.ids) for p in prompts]).unsqueeze(1)
    where = (begins - 1 + torch.arange(targets.shape[1])).clamp(max=ids.shape[1] - 1)
    device = learner.device
    raw, scores, soft = raw.to(device), scores.to(device), mask.float().to(device)
    ids, attention, where, targets = (t.to(device) for t in (ids, attention, where, targets))
    arguments = (ids, attention, where, targets, options.temperature or 1.0)
    with torch.inference_mode():
        log_probs = answer_log_probs(learner.policy, *arguments)
        reference = answer_log_probs(learner.reference, *arguments)
        values = learner.value(ids, attention).gather(1, where)
        rewards = token_rewards(scores, log_probs, reference, soft, kl_coef)
        advantages, returns = advantages_and_returns(
            rewards, values, soft, options.gamma, options.gae_lambda
        )
        kl = ((log_probs - reference) * soft).sum(1).mean()
        rollout = Rollout(ids, attention, where, targets, soft, log_probs, values,
                          whiten(advantages, soft), returns)  # fmt: skip
    means = {
        "score": float(raw.mean()),
        "kl": float(kl),
        "answer_tokens": float(soft.sum(1).mean()),
        "kl_coef": kl_coef,
    }
    # Tensors made in inference mode may not take part in a backward pass; copies may.
    return Rollout(**{n: getattr(rollout, n).clone() for n in Rollout.__slots__}), means


def learn(
    learner: Learner, optimizer: torch.optim.Optimizer, rollout: Rollout, options: PpoOptionsLike,
    step: int,
) -> dict[str, float]:  # fmt: skip
    """Take the gradient steps of one round."""
    policy_total = value_total = 0.0
    updates = 0
    for epoch in range(options.ppo_epochs):
        order = torch.randperm(
            len(rollout.ids), generator=seeded_generator(options.seed, step, epoch)
        )
        for rows in torch.split(order, options.minibatch):
            part = rollout.part(rows)
            log_probs = answer_log_probs(
                learner.policy, part.ids, part.attention, part.where, part.targets,
                options.temperature or 1.0,
            )  # fmt: skip
            values = learner.value(part.ids, part.attention).gather(1, part.where)
            surrogate = policy_loss(
                log_probs, part.log_probs, part.advantages, part.mask, options.clip_range
            )
            squared = value_loss(values, part.values, part.returns, part.mask, options.value_clip)
            optimizer.zero_grad()
            torch.autograd.backward(surrogate + squared)
            nn.utils.clip_grad_norm_(learner.policy.parameters(), 1.0)
            nn.utils.clip_grad_norm_(learner.value.parameters(), 1.0)
            optimizer.step()
            policy_total += float(surrogate.detach())
            value_total += float(squared.detach())
            updates += 1
    return {"policy_loss": policy_total / updates, "value_loss": value_total / updates}


def run_ppo(
    learner: Learner, prompts: list[Prompt], options: PpoOptionsLike, directory: RunDirectory,
    console: Console,
) -> list[dict[str, float]]:  # fmt: skip
    """Optimize the policy, with checkpoints, and return the log, one entry a round.

    Raises:
        ResumableStopError: A signal came; a checkpoint was written.
        NorcliError: The policy went further from the reference than --max-kl.
    """
    learner.policy.eval()  # no dropout: ratios must be 1 before the first update
    learner.value.eval()
    learner.reference.eval().requires_grad_(False)
    networks = learner.networks()
    optimizer = build_optimizer(networks, AdamSettings(options.lr))
    log: list[dict[str, float]] = []
    first = _restore(directory, learner, networks, optimizer, log)
    with (
        stop_requests() as stop,
        console.progress("ppo", options.steps, "rounds") as progress,
    ):
        progress.advance(first)
        kl_coef = options.kl_coef
        if log:
            kl_coef = next_kl_coef(log[-1]["kl_coef"], log[-1]["kl"], options.target_kl)
        for step in range(first, options.steps):
            batch = _batch(prompts, options, step)
            rollout, means = collect(learner, batch, options, step, kl_coef)
            if means["kl"] > options.max_kl:
                raise NorcliError(
                    f"round {step + 1}: the policy is {means['kl']:.1f} nats from its reference,"
                    f" more than --max-kl {options.max_kl:g}",
                    hint="raise --kl-coef or lower --lr; the last checkpoint is kept",
                )
            means |= learn(learner, optimizer, rollout, options, step)
            means["kl"] = round(means["kl"], 6)  # a resumed run reads it back from the log
            kl_coef = next_kl_coef(kl_coef, means["kl"], options.target_kl)
            exact = {"kl_coef": means["kl_coef"]}
            log.append({"step": step + 1, **{k: round(v, 6) for k, v in means.items()}, **exact})
            progress.advance(1, f"score {means['score']:.3f} kl {means['kl']:.2f}")
            done = step + 1
            if stop.requested or (done % options.save_every == 0 and done < options.steps):
                _save(directory, learner, networks, optimizer, log)
            _leave_if_asked(stop, done, options.steps)
    return log


def _leave_if_asked(stop: StopRequest, done: int, steps: int) -> None:
    if stop.requested:
        raise ResumableStopError(f"asked to stop; saved round {done} of {steps}",
                                 hint="run the same command again to go on")  # fmt: skip


def _batch(prompts: list[Prompt], options: PpoOptionsLike, step: int) -> list[Prompt]:
    """Return the prompts of a round: a walk through one seeded order after another."""
    chosen = []
    for number in range(step * options.rollouts, (step + 1) * options.rollouts):
        epoch, place = divmod(number, len(prompts))
        order = torch.randperm(len(prompts), generator=seeded_generator(options.seed, 7_919, epoch))
        chosen.append(prompts[int(order[place])])
    return chosen


def _save(
    directory: RunDirectory, learner: Learner, networks: nn.ModuleDict,
    optimizer: torch.optim.Optimizer, log: list[dict[str, float]],
) -> None:  # fmt: skip
    state = optimizer_state(networks, optimizer)
    state |= {f"value_model.{k}": v.cpu().clone() for k, v in learner.value.state_dict().items()}

    def write(folder: Path) -> None:
        save_model_directory(learner.policy, learner.tokenizer.path.parent, folder)
        (folder / "log.json").write_text(json.dumps(log), encoding="utf-8")

    directory.save(Progress(step=len(log)), write, state, keep=1)


def _restore(
    directory: RunDirectory, learner: Learner, networks: nn.ModuleDict,
    optimizer: torch.optim.Optimizer, log: list[dict[str, float]],
) -> int:  # fmt: skip
    """Go back to the newest checkpoint, if there is one; return the rounds that are done."""
    newest = directory.newest()
    if newest is None:
        return 0
    folder, progress = newest
    learner.policy.load_state_dict(load_weights(folder), strict=False)
    learner.policy.tie_weights()
    state = load_optimizer_state(folder)
    value = {k.removeprefix("value_model."): v for k, v in state.items()
             if k.startswith("value_model.")}  # fmt: skip
    learner.value.load_state_dict(value)
    restore_optimizer(networks, optimizer, state)
    log.extend(json.loads((folder / "log.json").read_text(encoding="utf-8")))
    return progress.step


def reward_model_scorer(model: ScalarModel, context: int) -> Scorer:
    """Return a scorer that asks a reward model, about the last tokens where there are too many."""
    model.eval().requires_grad_(False)

    def score(prompts: list[Prompt], answers: list[list[int]]) -> list[float]:
        rows = [(p.ids + a)[-context:] for p, a in zip(prompts, answers, strict=True)]
        with torch.inference_mode():
            values: list[float] = model.score(*pad_right(rows, 0)).tolist()
        return values

    return score


def similarity_scorer(reward: Any, tokenizer: Tokenizer) -> Scorer:
    """Return a scorer that compares answers with the references directly."""

    def score(prompts: list[Prompt], answers: list[list[int]]) -> list[float]:
        texts = [decode_answer(tokenizer, answer) for answer in answers]
        scores: list[float] = reward.score(texts, [p.reference for p in prompts])
        return scores

    return score


__all__ = ["Learner", "Rollout", "collect", "learn", "reward_model_scorer",
           "run_ppo", "similarity_scorer"]  # fmt: skip
