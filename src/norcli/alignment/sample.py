"""rlhf sample: several candidates for each prompt, streamed as JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from norcli.alignment.options import SampleOptions
from norcli.alignment.prompts import Prompt, PromptEncoder, read_prompts
from norcli.console import Console
from norcli.streams import require_directory
from norcli.tokens.huggingface import Tokenizer, load_tokenizer
from norcli.training.model_config import load_model, read_model_config


def context_of(config: dict[str, Any]) -> int:
    """Return the context length of a config.json in tokens."""
    return int(config.get("n_positions") or config["max_position_embeddings"])


def prompt_encoder(model: str, settings: Any) -> tuple[PromptEncoder, Tokenizer]:
    """Return the prompt encoder and the tokenizer of a model directory.

    Raises:
        DataError: It holds no model or no tokenizer.
        InputMissingError: It does not exist.
    """
    config = read_model_config(require_directory(model, "a model directory"))
    tokenizer = load_tokenizer(model)
    return PromptEncoder(model, tokenizer, context_of(config), settings), tokenizer


def decode_answer(tokenizer: Tokenizer, ids: list[int]) -> str:
    """Return the text of an answer without its end token and outer spaces."""
    return tokenizer.decode([token for token in ids if token != tokenizer.eos_id]).strip()


def candidate_records(options: SampleOptions, console: Console) -> Iterator[dict[str, Any]]:
    """Yield {id, prompt, article, reference, completions} for each prompt, in order.

    Raises:
        NorcliError: As `prompt_encoder`, `read_prompts` and `load_model`.
    """
    import torch

    from norcli.alignment.generation import sample_answers, seeded_generator

    encoder, tokenizer = prompt_encoder(options.model, options)
    torch.set_num_threads(options.jobs or 1)
    policy = load_model(options.model, "sdpa")
    prompts = read_prompts(options, encoder, console)
    at_once = max(1, options.batch_size // options.candidates)
    number = 0
    with console.progress("sample", unit="prompts") as progress:
        while batch := list(islice(prompts, at_once)):
            repeated = [prompt.ids for prompt in batch for _ in range(options.candidates)]
            answers = sample_answers(
                policy, repeated, max_new_tokens=options.max_new_tokens,
                temperature=options.temperature, eos_id=tokenizer.eos_id or 0,
                generator=seeded_generator(options.seed, number),
            )  # fmt: skip
            number += 1
            texts = [decode_answer(tokenizer, answer) for answer in answers]
            for index, prompt in enumerate(batch):
                first = index * options.candidates
                yield _record(prompt, texts[first : first + options.candidates])
                progress.advance()


def _record(prompt: Prompt, completions: list[str]) -> dict[str, Any]:
    return {
        "id": prompt.id, "prompt": prompt.text, "article": prompt.article,
        "reference": prompt.reference, "completions": completions,
    }  # fmt: skip
