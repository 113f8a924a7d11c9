"""norcli rlhf: preference optimization by similarity to a reference, whole or step by step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from norcli.alignment.options import (
    PpoOptions,
    RewardModelOptions,
    RlhfOptions,
    SampleOptions,
    ScoreOptions,
)
from norcli.cli.command import Command, Outcome, write_plan
from norcli.console import Console


def run_rlhf(options: RlhfOptions, console: Console) -> Outcome:
    """Run all steps into one folder."""
    from norcli.alignment.pipeline import plan_ppo, run_all

    if options.dry_run:
        return _plan(plan_ppo(options), options.json)
    return _reported(run_all(options, console), options.output, console)


def run_ppo(options: PpoOptions, console: Console) -> Outcome:
    """Optimize a policy."""
    from norcli.alignment.pipeline import optimize, plan_ppo

    if options.dry_run:
        return _plan(plan_ppo(options), options.json)
    return _reported(optimize(options, console), options.output, console)


def run_reward_model(options: RewardModelOptions, console: Console) -> Outcome:
    """Train a reward model."""
    from norcli.formats.documents import input_paths
    from norcli.streams import check_output, require_directory

    if options.dry_run:
        check_output(options.output, options.overwrite)
        require_directory(options.model, "a model directory")
        return _plan({"model": options.model, "inputs": input_paths(options)}, options.json)
    from norcli.alignment.reward_model import train_reward_model

    report = train_reward_model(options, console)
    ranked = f"{report['ranked_rightly_before']:.1%} → {report['ranked_rightly']:.1%}"
    return Outcome(report, f"{report['prompts']} prompts, pairs ranked rightly {ranked}")


def run_sample(options: SampleOptions, console: Console) -> Outcome:
    """Write candidates."""
    from norcli.alignment.sample import candidate_records

    return _streamed(options, console, lambda: candidate_records(options, console))


def run_score(options: ScoreOptions, console: Console) -> Outcome:
    """Score candidates."""
    from norcli.alignment.score import scored_records

    return _streamed(options, console, lambda: scored_records(options, console))


def _streamed(options: Any, console: Console, records: Any) -> Outcome:
    from norcli.formats.documents import RecordWriter, input_paths
    from norcli.streams import check_output

    paths = input_paths(options)
    check_output(options.output, options.overwrite)
    if options.dry_run:
        return _plan({"inputs": paths, "output": options.output}, options.json)
    iterator: Iterator[dict[str, Any]] = records()
    with RecordWriter(options) as writer:
        for record in iterator:
            writer.write(record)
    if not writer.records:
        console.warn("nothing to write: the input has no records")
    return Outcome({"records": writer.records}, f"{writer.records} records")


def _plan(plan: dict[str, Any], as_json: bool) -> Outcome:
    write_plan(plan, as_json)
    return Outcome(plan)


def _reported(report: dict[str, Any], output: str, console: Console) -> Outcome:
    from norcli.alignment.report import as_lines

    for line in as_lines(report):
        console.say(line)
    last = report["last_round"]
    return Outcome(report, f"{output}: {report['rounds']} rounds, score {last['score']:.3f}, "
                   f"{last['kl']:.2f} nats from the reference policy")  # fmt: skip


ENCODER_NOTE = (
    "The encoder is a local directory of the BERT family, such as NorBERT, in safetensors; nothing "
    "is fetched. hashed-trigrams is a stand-in that compares spelling and knows no meaning."
)
COMMANDS = {
    "rlhf": Command(
        RlhfOptions, run_rlhf,
        "Runs sample, score, reward-model and ppo into one folder: candidates.jsonl, scored.jsonl, "
        "reward-model/ and policy/, which is the optimized model. Steps that are complete are "
        "passed over.\n\n" + ENCODER_NOTE + "\n\n"
        "The report compares the policy before and after, and shows what the similarity says of "
        "canaries: shuffled, negated, repeated and halved references, and those of other articles.",
        (("Optimize a summarizer towards its references",
          "norcli rlhf tuned/ summaries.jsonl --encoder norbert/ -o aligned/"),
         ("Try it without an encoder",
          "norcli rlhf tuned/ summaries.jsonl --encoder hashed-trigrams --steps 12 -o aligned/")),
    ),
    "rlhf sample": Command(
        SampleOptions, run_sample,
        "Reads article and summary (or prompt and reference) and writes id, prompt, article, "
        "reference, completions, and of each completion whether it ended by itself. An answer is "
        "drawn from a seed of its own: batches and shards give the same candidates.",
        (("Eight candidates for each article",
          "norcli rlhf sample tuned/ summaries.jsonl --candidates 8 > candidates.jsonl"),),
    ),
    "rlhf score": Command(
        ScoreOptions, run_score, "Adds scores to the candidates. " + ENCODER_NOTE,
        (("Score in a pipe",
          "norcli rlhf sample tuned/ summaries.jsonl | norcli rlhf score --encoder norbert/"),),
    ),
    "rlhf reward-model": Command(
        RewardModelOptions, run_reward_model,
        "Trains the policy's layers with a scalar head: pairwise on the ranking of the candidates, "
        "or by regression on their scores.",
        (("From scored candidates",
          "norcli rlhf reward-model tuned/ scored.jsonl -o reward-model/"),),
    ),
    "rlhf ppo": Command(
        PpoOptions, run_ppo,
        "Proximal policy optimization with a price for each nat from the frozen reference policy, "
        "and a stop when the distance passes --max-kl. A run that is stopped goes on with the same "
        "command.",
        (("Against a reward model",
          "norcli rlhf ppo tuned/ summaries.jsonl --reward-model reward-model/ -o policy/"),),
    ),
}  # fmt: skip
