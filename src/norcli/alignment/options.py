"""Options of rlhf and its steps (report section 3.3.2). Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from norcli.options import (
    INPUT,
    OUTPUT,
    GeneralOptions,
    RecordInputOptions,
    RecordOutputOptions,
    option,
)

PROMPTS = "Prompts"
SAMPLING = "Sampling"
SIMILARITY = "Similarity"
REWARD_MODEL = "Reward model"
PPO = "PPO"
HASHED_TRIGRAMS = "hashed-trigrams"


@dataclass(kw_only=True)
class PolicyArgument:
    """The model a step starts from."""

    model: str = option(
        help="Fine-tuned model directory to start from", group=INPUT, positional=True,
        metavar="MODEL", complete="dir",
    )  # fmt: skip


@dataclass(kw_only=True)
class PromptOptions:
    """How an article becomes a prompt."""

    instruction: str = option(
        "Oppsummer følgende tekst kort.", help="What is asked of each article", group=PROMPTS
    )
    too_long: str = option(
        "stop", help="What to do with an article that leaves no room for the answer",
        group=PROMPTS, choices=("stop", "skip", "truncate"),
    )  # fmt: skip


@dataclass(kw_only=True)
class SamplingOptions:
    """How the policy writes."""

    temperature: float = option(
        1.0, help="Randomness of the samples; 0 takes the likeliest token", group=SAMPLING,
        minimum=0, maximum=10,
    )  # fmt: skip
    max_new_tokens: int = option(64, help="Most tokens of an answer", group=SAMPLING, minimum=1)
    batch_size: int = option(32, help="Answers written at a time", group=SAMPLING, minimum=1)


@dataclass(kw_only=True)
class CandidateOptions:
    """How many answers a prompt gets, and from which tokens."""

    candidates: int = option(4, help="Answers to each prompt", group=SAMPLING, minimum=1)
    # PPO has no top_p: its ratios need the probability of every token it may draw.
    top_p: float = option(
        1.0, help="Draw candidates from the likeliest tokens that reach this probability",
        group=SAMPLING, minimum=0, maximum=1,
    )  # fmt: skip


@dataclass(kw_only=True)
class ComparisonOptions:
    """How an encoder is read, and what else enters the similarity."""

    pooling: str = option(
        "mean", help="How token vectors become one", group=SIMILARITY, choices=("mean", "cls")
    )
    encoder_tokens: int = option(
        512, help="Tokens of a text that the encoder reads", group=SIMILARITY, minimum=2
    )
    trust_remote_code: bool = option(
        False, help="Run Python code that comes with the encoder", group=SIMILARITY
    )
    rouge_weight: float = option(
        0.0, help="Share of ROUGE-L in the score; the rest is the cosine", group=SIMILARITY,
        minimum=0, maximum=1,
    )  # fmt: skip
    length_penalty: float = option(
        0.0, help="Taken off the score per unit of |ln(length / length of the reference)|",
        group=SIMILARITY, minimum=0,
    )  # fmt: skip


@dataclass(kw_only=True)
class SimilarityOptions(ComparisonOptions):
    """What a candidate is compared with its reference by."""

    encoder: str = option(
        help="Directory of a BERT-family encoder such as NorBERT, or hashed-trigrams, a stand-in "
        "without a model", group=SIMILARITY, metavar="DIR", complete="dir",
    )  # fmt: skip


@dataclass(kw_only=True)
class RewardTrainingOptions:
    """How the reward model learns."""

    reward_epochs: int = option(
        2, help="Times the reward model sees each prompt", group=REWARD_MODEL, minimum=1
    )
    reward_lr: float = option(
        1e-4, help="Learning rate of the reward model", group=REWARD_MODEL, minimum=0
    )
    reward_batch: int = option(
        4, help="Prompts per step of the reward model", group=REWARD_MODEL, minimum=1
    )
    objective: str = option(
        "pairwise", help="Rank candidates of a prompt against each other, or predict the score",
        group=REWARD_MODEL, choices=("pairwise", "regression"),
    )  # fmt: skip


@dataclass(kw_only=True)
class PpoSettings:
    """The numbers of PPO; defaults of DeepSpeed-Chat where it has one."""

    steps: int = option(100, help="Rounds of sampling and learning", group=PPO, minimum=1)
    rollouts: int = option(8, help="Answers sampled in a round", group=PPO, minimum=1)
    minibatch: int = option(4, help="Answers per gradient step", group=PPO, minimum=1)
    ppo_epochs: int = option(1, help="Times a round's answers are learnt", group=PPO, minimum=1)
    lr: float = option(1e-5, help="Learning rate of policy and value model", group=PPO, minimum=0)
    kl_coef: float = option(
        0.1, help="Price of a nat of distance from the reference policy", group=PPO, minimum=0
    )
    target_kl: float | None = option(
        None, help="Let the price move until an answer is about this many nats away", group=PPO,
        minimum=0, default_text="the price is fixed",
    )  # fmt: skip
    max_kl: float = option(
        20.0, help="Stop when an answer is on average this many nats away", group=PPO, minimum=0
    )
    clip_range: float = option(0.2, help="Clip of the policy's ratio", group=PPO, minimum=0)
    value_clip: float = option(0.2, help="Clip of the value's change", group=PPO, minimum=0)
    reward_clip: float = option(5.0, help="Largest reward either way", group=PPO, minimum=0)
    gamma: float = option(1.0, help="Discount per token", group=PPO, minimum=0, maximum=1)
    gae_lambda: float = option(
        0.95, help="Lambda of generalized advantage estimation", group=PPO, minimum=0, maximum=1
    )
    save_every: int = option(50, help="Rounds between checkpoints", group=PPO, minimum=1)


@dataclass(kw_only=True)
class DirectoryOutput:
    """Where a step that trains puts its result."""

    output: str = option(
        help="Directory to write", group=OUTPUT, short="o", metavar="DIR", complete="dir"
    )
    overwrite: bool = option(
        False, help="Replace an output that exists", group=OUTPUT, in_config=False
    )


@dataclass(kw_only=True)
class SampleOptions(
    RecordInputOptions, RecordOutputOptions, CandidateOptions, SamplingOptions, PromptOptions,
    GeneralOptions, PolicyArgument,
):  # fmt: skip
    """Options of ``norcli rlhf sample``."""


@dataclass(kw_only=True)
class ScoreOptions(RecordInputOptions, RecordOutputOptions, SimilarityOptions, GeneralOptions):
    """Options of ``norcli rlhf score``."""


@dataclass(kw_only=True)
class RewardModelOptions(
    DirectoryOutput, RewardTrainingOptions, RecordInputOptions, GeneralOptions, PolicyArgument
):
    """Options of ``norcli rlhf reward-model``."""


@dataclass(kw_only=True)
class PpoOptions(
    DirectoryOutput, PpoSettings, ComparisonOptions, SamplingOptions, PromptOptions,
    RecordInputOptions, GeneralOptions, PolicyArgument,
):  # fmt: skip
    """Options of ``norcli rlhf ppo``."""

    reward_model: str | None = option(
        None, help="Reward model made by norcli rlhf reward-model", group=PPO, metavar="DIR",
        complete="dir",
    )  # fmt: skip
    encoder: str | None = option(
        None, help="Encoder of the report; without a reward model its similarity is the reward",
        group=SIMILARITY, metavar="DIR", complete="dir",
        default_text="hashed-trigrams beside a reward model",
    )  # fmt: skip


@dataclass(kw_only=True)
class RlhfOptions(
    DirectoryOutput, PpoSettings, RewardTrainingOptions, SimilarityOptions, CandidateOptions,
    SamplingOptions, PromptOptions, RecordInputOptions, GeneralOptions, PolicyArgument,
):  # fmt: skip
    """Options of ``norcli rlhf``: all steps, one after another."""


__all__ = [
    "HASHED_TRIGRAMS", "PpoOptions", "PpoSettings", "PromptOptions",
    "RewardModelOptions", "RewardTrainingOptions", "RlhfOptions", "SampleOptions",
    "SamplingOptions", "ScoreOptions", "SimilarityOptions",
]  # fmt: skip
