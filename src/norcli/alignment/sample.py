"""rlhf sample: several candidates for each prompt, streamed as JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from norcli.alignment.options import SampleOptions
from norcli.alignment.prompts import Prompt, PromptEncoder, read_prompts
from norcli.console import Console
from norcli.errors import ConfigError
from norcli.streams import require_directory
from norcli.tokens.huggingface import Tokenizer, load_tokenizer
from norcli.training.model_config import context_of, load_model, read_model_config

if TYPE_CHECKING:
    import torch


def prompt_encoder(model: str, settings: Any) -> tuple[PromptEncoder, Tokenizer]:
    """Return the prompt encoder and the tokenizer of a model directory.

    Raises:
        DataError: It holds no model or no tokenizer.
        InputMissingError: It does not exist.
        ConfigError: The answer alone would fill the context.
    """
    config = read_model_config(require_directory(model, "a model directory"))
    tokenizer = load_tokenizer(model)
    context = context_of(config)
    if settings.max_new_tokens >= context:
        raise ConfigError(
            f"--max-new-tokens {settings.max_new_tokens} leaves no room for a prompt in a context"
            f" of {context} tokens"
        )
    return PromptEncoder(model, tokenizer, context, settings), tokenizer


def load_policy(model: str, device: torch.device) -> Any:
    """Load a model's weights in float32 onto a device.

    Raises:
        NorcliError: As `norcli.training.model_config.load_model`.
    """
    from transformers.utils import logging

    from norcli.training.run import fuse_activations

    # Its own bars would write between the lines of the console.
    logging.disable_progress_bar()
    policy = load_model(model, "sdpa")
    fuse_activations(policy)
    return policy.to(device)


def decode_answer(tokenizer: Tokenizer, ids: list[int]) -> str:
    """Return the text of an answer without its end token and outer spaces."""
    return tokenizer.decode([token for token in ids if token != tokenizer.eos_id]).strip()


def candidate_records(options: SampleOptions, console: Console) -> Iterator[dict[str, Any]]:
    """Yield {id, prompt, article, reference, completions, ended} for each prompt, in order.

    ``ended`` says of each completion whether it reached its end token.

    Raises:
        NorcliError: As `prompt_encoder`, `read_prompts` and `load_model`.
    """
    from norcli.alignment.generation import sample_answers, seeded_generator, text_number
    from norcli.cluster.placement import Placement
    from norcli.training.distributed import choose_device

    encoder, tokenizer = prompt_encoder(options.model, options)
    policy = load_policy(options.model, choose_device(Placement(), options.jobs))
    prompts = read_prompts(options, encoder, console)
    at_once = max(1, options.batch_size // options.candidates)
    with console.progress("sample", unit="prompts") as progress:
        while batch := list(islice(prompts, at_once)):
            repeated = [prompt.ids for prompt in batch for _ in range(options.candidates)]
            # Seeded by the prompt, not its number: shards draw what the whole would.
            generators = [
                seeded_generator(options.seed, text_number(prompt.text), candidate)
                for prompt in batch
                for candidate in range(options.candidates)
            ]
            answers = sample_answers(
                policy, repeated, max_new_tokens=options.max_new_tokens,
                temperature=options.temperature, top_p=options.top_p,
                eos_id=tokenizer.eos_id or 0, generators=generators,
            )  # fmt: skip
            for index, prompt in enumerate(batch):
                first = index * options.candidates
                yield _record(prompt, answers[first : first + options.candidates], tokenizer)
                progress.advance()


def _record(prompt: Prompt, answers: list[list[int]], tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "id": prompt.id, "prompt": prompt.text, "instruction": prompt.instruction,
        "article": prompt.article,
        "reference": prompt.reference,
        "completions": [decode_answer(tokenizer, answer) for answer in answers],
        "ended": [answer[-1] == tokenizer.eos_id for answer in answers],
    }  # fmt: skip
