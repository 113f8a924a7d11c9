"""The list of commands, in the order the data flows: name, file, one-line summary.

Nothing is imported until a command is called. A test loads every entry, so that a renamed module
cannot rot here unseen.
"""

from __future__ import annotations

import importlib
from typing import NamedTuple

from norcli.cli.command import Command


class Entry(NamedTuple):
    """One command: the module under ``norcli.cli`` that defines it, and its summary."""

    module: str
    summary: str


REGISTRY: dict[str, Entry] = {
    "crawl-filter": Entry("crawl_filter", "Turn web pages and crawls into clean documents"),
    "crawl-filter sample": Entry("crawl_filter", "Show what a rule threw away"),
    "dedup": Entry("dedup", "Drop exact and near duplicates"),
    "dedup explain": Entry("dedup", "Show why one document was dropped, and what differs"),
    "stats": Entry("stats", "Print statistics of a corpus"),
    "stats merge": Entry("stats", "Add up counts of shards or corpora and report them"),
    "mix": Entry("mix", "Build a corpus from parts by shares, weights, epochs or a recipe"),
    "tokenize-train": Entry("tokenize_train", "Train a SentencePiece tokenizer"),
    "tokenize": Entry("tokenize", "Turn documents into token shards"),
    "models": Entry("models", "List the model family"),
    "models show": Entry("models", "Show one model: configuration, memory, sizes, notes"),
    "models advise": Entry("models", "Say which model suits a use and a machine"),
    "pretrain": Entry("pretrain", "Train a language model on token shards"),
    "sft": Entry("sft", "Fine-tune a model on instructions, fully or with LoRA"),
    "rlhf": Entry("rlhf", "Run all steps of preference optimization, one after another"),
    "rlhf sample": Entry("rlhf", "Let a model write several candidates for each prompt"),
    "rlhf score": Entry("rlhf", "Score candidates by similarity to the reference"),
    "rlhf reward-model": Entry("rlhf", "Train a reward model on scored candidates"),
    "rlhf ppo": Entry("rlhf", "Optimize a model against a reward with PPO"),
    "quantize": Entry("quantize", "Turn a Hugging Face model into a GGUF file"),
    "quantize inspect": Entry("quantize", "Show the metadata and tensors of a GGUF file"),
    "eval": Entry("eval", "Evaluate a model on local task files"),
    "eval score": Entry("eval", "Score predictions that exist already"),
    "eval tasks": Entry("eval", "List the tasks and their metrics"),
    "chat": Entry("chat", "Chat with a model in the terminal or in a pipe"),
    "serve": Entry("serve", "Serve a GGUF file over HTTP to OpenAI clients"),
    "export": Entry("export", "Write files with which Ollama, vLLM or LM Studio serve a model"),
    "launch": Entry("launch", "Write a SLURM job script for any command"),
    "launch task": Entry("launch", "Run one task of a run that --executor has planned"),
    "doctor": Entry("doctor", "Say what is installed and what this machine can do"),
    "warmup": Entry("warmup", "Compile the kernels once, so that later runs start at once"),
    "help": Entry("help", "Show the manual page of a command"),
}


def top_level() -> list[str]:
    """Return the names of the commands without subcommands."""
    return [name for name in REGISTRY if " " not in name]


def subcommands(name: str) -> list[str]:
    """Return the last words of a command's subcommands."""
    return [other.split()[1] for other in REGISTRY if other.startswith(name + " ")]


def load(name: str) -> Command:
    """Import the file of a command and return it.

    Raises:
        KeyError: The file does not define the command: a bug.
    """
    module = importlib.import_module(f"norcli.cli.{REGISTRY[name].module}")
    commands: dict[str, Command] = module.COMMANDS
    return commands[name]
