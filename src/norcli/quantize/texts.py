"""Texts that a model reads while it is measured: whole, by language, and cut into chunks.

For the importance matrix and for the report's perplexity and divergence. A .txt file is one text,
as llama.cpp's tools read it; documents (JSONL, Parquet) keep their language.
"""

from __future__ import annotations

from collections.abc import Sequence

from norcli.console import Console
from norcli.errors import DataError
from norcli.formats.documents import BadRecords, read_documents
from norcli.options import RecordInputOptions
from norcli.streams import open_input

BETWEEN_DOCUMENTS = "\n\n"
_FORMS = 'give plain text as FILE.txt, or documents with a "text" as JSONL or Parquet'


def read_texts_by_language(path: str, console: Console) -> dict[str, str]:
    """Return the texts of a file by the documents' ``lang``; ``all`` for a plain text.

    Raises:
        InputMissingError: There is no such file.
        DataError: It is empty, not UTF-8, or holds a bad record.
    """
    if path.endswith(".txt"):
        with open_input(path) as stream:
            raw = stream.read()
        try:
            texts = {"all": raw.decode("utf-8")}
        except UnicodeDecodeError as error:
            raise DataError("is not UTF-8", path=path) from error
    else:
        options = RecordInputOptions(inputs=[path])
        bad = BadRecords(options, console)
        parts: dict[str, list[str]] = {}
        try:
            for document in read_documents(options, console, bad):
                lang = str(document.fields.get("lang") or "und")
                parts.setdefault(lang, []).append(document.text)
        except DataError as error:
            # The reader's own hints name options of other commands.
            raise DataError(error.message, path=error.path, line=error.line, hint=_FORMS) from error
        texts = {lang: BETWEEN_DOCUMENTS.join(found) for lang, found in parts.items()}
    if not any(text.strip() for text in texts.values()):
        raise DataError("holds no text", path=path)
    return texts


def read_plain_text(path: str, console: Console) -> str:
    """Return all texts of a file as one; see `read_texts_by_language`."""
    return BETWEEN_DOCUMENTS.join(read_texts_by_language(path, console).values())


def token_chunks(ids: Sequence[int], length: int, begin: int | None) -> list[list[int]]:
    """Cut token ids into whole chunks of a length; the first id of each becomes `begin`, if given.

    The rest that does not fill a chunk is left out.
    """
    chunks = [list(ids[at : at + length]) for at in range(0, len(ids) - length + 1, length)]
    if begin is not None:
        for chunk in chunks:
            chunk[0] = begin
    return chunks
