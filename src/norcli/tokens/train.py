"""Train a SentencePiece BPE tokenizer on a bounded sample of a corpus (report, section 3.2).

The core of ``norcli tokenize-train``: documents → sample → SentencePiece → Hugging Face files and
measures. Byte fallback and identity normalization make every text come back unchanged. It adds no
chat pieces, and extends no existing vocabulary.
"""

from __future__ import annotations

import io
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from norcli.console import Console
from norcli.errors import DataError, UsageError
from norcli.formats.documents import input_bytes, input_paths, read_documents
from norcli.streams import STDIN_NAME, atomic_directory, check_output
from norcli.tokens.export import write_tokenizer
from norcli.tokens.huggingface import MODEL_FILE, SentencePieceTokenizer
from norcli.tokens.measure import TokenizerFit, measure, unused_pieces
from norcli.tokens.options import TokenizeTrainOptions
from norcli.tokens.sample import Sample, draw_sample, language_of, parse_mix

NORDIC_LETTERS = "æøåäöüßáčđŋšŧžéèêòôóàñÆØÅÄÖÜÁČĐŊŠŦŽÉ«»–"
# Icelandic, Skolt Sámi and further marks: worth a piece each only in a vocabulary of some size.
FURTHER_CHARACTERS = "ðþíïóúýëçìùǩǥǧǯʒƷÐÞÍÏÓÚÝËÇǨǤǦǮÈÊÒÔÀÑ—…“”„‘’•§°½€£×"
_FURTHER_FROM_VOCAB_SIZE = 16_000
CHECK_TEXTS = 2000
MEASURE_BYTES_PER_LANGUAGE = 1_000_000
_TOO_LARGE = re.compile(r"too high .* value <= (\d+)")
_TOO_SMALL = re.compile(r"smaller than required_chars\. \d+ vs (\d+)")


def default_required_chars(vocab_size: int) -> str:
    """Return the characters that get a piece even where a sample lacks them.

    Without a piece of its own a letter is two bytes in every word it stands in.
    """
    characters = string.ascii_letters + string.digits + NORDIC_LETTERS
    if vocab_size >= _FURTHER_FROM_VOCAB_SIZE:
        characters += string.punctuation + FURTHER_CHARACTERS
    return "".join(dict.fromkeys(characters))


@dataclass(frozen=True)
class TrainedTokenizer:
    """What a training gave.

    Args:
        vocab_size: Pieces.
        sample: What it was trained on.
        fit: Its measures.
        compared: Texts on which sentencepiece and tokenizers gave the same ids.
        sha256: Of tokenizer.model.
    """

    vocab_size: int
    sample: Sample
    fit: TokenizerFit
    compared: int
    sha256: str

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the text for JSON."""
        return {
            "vocab_size": self.vocab_size,
            "sha256": self.sha256,
            "documents": self.sample.documents,
            "documents_left_out": self.sample.left_out,
            "input_bytes": dict(sorted(self.sample.seen_bytes.items())),
            "sample_bytes": dict(sorted(self.sample.kept_bytes.items())),
            "texts_compared_with_tokenizers": self.compared,
            "measures": self.fit.as_dict(),
        }


def plan_training(options: TokenizeTrainOptions) -> dict[str, Any]:
    """Check inputs and output, and return what a run would do.

    Raises:
        InputMissingError: An input is not there.
        CannotCreateError: The output cannot be made.
        UsageError: --mix is wrong, or given together with --temperature.
    """
    check_output(options.output, options.overwrite)
    mix = parse_mix(options.mix)
    if mix and options.temperature is not None:
        raise UsageError("--mix and --temperature exclude each other")
    paths = input_paths(options)
    input_paths(replace(options, inputs=options.measure_on, files_from=None))
    return {
        "inputs": paths,
        "input_bytes": input_bytes(paths),
        "output": options.output,
        "vocab_size": options.vocab_size,
        "sample_bytes": options.sample_bytes,
        "mix": mix,
        "temperature": options.temperature,
    }


def train_tokenizer(options: TokenizeTrainOptions, console: Console) -> TrainedTokenizer:
    """Train a tokenizer and write its directory.

    Raises:
        DataError: No text, or a vocabulary larger or smaller than the text allows.
        CannotCreateError: The output exists.
        UsageError: --mix is wrong.
    """
    plan_training(options)
    mix = parse_mix(options.mix)
    with console.progress("sample", input_bytes(input_paths(options)), "bytes") as progress:
        documents = read_documents(options, console)
        counted = (_count(progress, document) for document in documents)
        sample = draw_sample(
            counted, sample_bytes=options.sample_bytes, seed=options.seed, mix=mix,
            temperature=options.temperature, language_key=options.language_key,
        )  # fmt: skip
    _check_sample(sample, mix, options, console)
    console.info(f"training on {sample.bytes} bytes of {sum(sample.seen_bytes.values())}")
    model = train_model(sample.lines, options)
    with atomic_directory(options.output, overwrite=options.overwrite) as directory:
        compared = write_tokenizer(model, directory, _check_texts(sample))
        tokenizer = SentencePieceTokenizer(directory / MODEL_FILE)
        fit = measure(tokenizer, _measured_texts(sample, options, console))
        fit.unused_pieces = len(unused_pieces(tokenizer, sample.lines()))
    return TrainedTokenizer(tokenizer.vocab_size, sample, fit, compared, tokenizer.sha256)


def _count(progress: Any, document: Any) -> Any:
    progress.advance(len(document.text))
    return document


def _check_sample(
    sample: Sample, mix: dict[str, float], options: TokenizeTrainOptions, console: Console
) -> None:
    if not sample.bytes:
        names = [STDIN_NAME if path == "-" else path for path in input_paths(options)]
        what = "in the languages of --mix" if sample.left_out else "to train on"
        raise DataError(f"holds no text {what}", path=", ".join(names))
    for language, share in mix.items():
        kept = sample.kept_bytes.get(language, 0)
        if kept < 0.98 * share * options.sample_bytes and sample.bytes > kept:
            console.info(f"{language}: only {kept} bytes of text for a share of {share:.1%}")
        if not kept:
            console.warn(f"--mix names {language}, but there is no text in it")


def train_model(lines: Callable[[], Iterator[str]], options: TokenizeTrainOptions) -> bytes:
    """Run SentencePiece on lines of text and return the model.

    The result depends on lines and options alone; SentencePiece's own log is silenced.

    Args:
        lines: Gives the lines from the beginning each time it is called.
        options: Vocabulary size and characters.

    Raises:
        DataError: The vocabulary does not fit the text; says the size that would.
    """
    try:
        return _run_sentencepiece(lines(), options)
    except RuntimeError as error:
        reason = str(error)
        if found := _TOO_LARGE.search(reason):
            most = _largest_vocabulary(lines, options, int(found.group(1)))
            raise DataError(
                f"a vocabulary of {options.vocab_size} is larger than the text allows: "
                f"at most {most} pieces",
                hint=f"give --vocab-size {most} or less, or more text",
            ) from error
        if found := _TOO_SMALL.search(reason):
            least = found.group(1)
            raise DataError(
                f"a vocabulary of {options.vocab_size} is too small for the characters and bytes: "
                f"at least {least} pieces",
                hint=f"give --vocab-size {least} or more, or fewer --required-chars",
            ) from error
        raise DataError(f"sentencepiece cannot train on this text: {reason}") from error


def _largest_vocabulary(
    lines: Callable[[], Iterator[str]], options: TokenizeTrainOptions, most: int
) -> int:
    """Return the largest vocabulary that works, given what SentencePiece said it is.

    Where that many pieces bring fewer characters of their own than the size that was tried, there
    are fewer pieces in all, and SentencePiece has to say again.
    """
    if options.required_chars is None and options.vocab_size >= _FURTHER_FROM_VOCAB_SIZE > most:
        try:
            _run_sentencepiece(lines(), replace(options, vocab_size=most))
        except RuntimeError as error:
            if found := _TOO_LARGE.search(str(error)):
                return int(found.group(1))
    return most


def _run_sentencepiece(lines: Iterator[str], options: TokenizeTrainOptions) -> bytes:
    import sentencepiece

    required = options.required_chars
    if required is None:
        required = default_required_chars(options.vocab_size)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=lines,
        model_writer=model,
        model_type="bpe",
        vocab_size=options.vocab_size,
        character_coverage=options.character_coverage,
        required_chars=required,
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        allow_whitespace_only_pieces=True,
        remove_extra_whitespaces=False,
        # Passages are cut to length before; nothing may be skipped for being long.
        max_sentence_length=1 << 20,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=3 if options.pad else -1,
        # The number is stored in the model, and more threads do not make BPE faster.
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def _check_texts(sample: Sample) -> Iterator[str]:
    """Take evenly spaced passages, a line break between two of them."""
    for language in sorted(sample.passages):
        chosen = sample.passages[language]
        step = max(len(chosen) * len(sample.passages) // CHECK_TEXTS, 1)
        for index in range(0, len(chosen), step):
            yield "\n".join(chosen[index : index + 2])


def _measured_texts(
    sample: Sample, options: TokenizeTrainOptions, console: Console
) -> Iterator[tuple[str, str]]:
    """Yield (language, text) from --measure-on, or from the sample, a bounded part of each."""
    if options.measure_on:
        source = replace(options, inputs=options.measure_on, files_from=None, shard=None)
        for document in read_documents(source, console):
            yield language_of(document, options.language_key), document.text
        return
    for language in sorted(sample.passages):
        chosen = sample.passages[language]
        step = max(sample.kept_bytes[language] // MEASURE_BYTES_PER_LANGUAGE, 1)
        for index in range(0, len(chosen), step):
            yield language, chosen[index]
