"""Conversations on disk: one JSON object with ``messages``, the form that sft trains on.

A session on a terminal saves itself after each answer, so that nothing is lost when it ends
badly; /save and /load use the same form. Files are private to the user.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from norcli.chat.prompting import Message
from norcli.chat.sanitize import SIGNS
from norcli.errors import CannotCreateError, DataError, InputMissingError
from norcli.streams import temporary_name

LARGEST_FILE_BYTES = 256 << 20
ROLES = ("system", "user", "assistant")
# As JSON escapes, so that showing the file does not obey what a model wrote.
ESCAPES = {code: f"\\u{code:04x}" for code in SIGNS if 0x7F <= code < 0x10000}


def conversation_line(messages: list[Message], **fields: str) -> str:
    """Return a conversation as one line of JSON."""
    record: dict[str, Any] = {"messages": messages, **fields}
    text = json.dumps(record, ensure_ascii=False)
    return text.translate(ESCAPES) + "\n"


def write_conversation(path: Path, messages: list[Message], **fields: str) -> None:
    """Write a conversation, complete or not at all; an older file of the name is replaced.

    Raises:
        CannotCreateError: The file cannot be written.
    """
    temporary = temporary_name(path)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8", errors="surrogatepass") as stream:
            stream.write(conversation_line(messages, **fields))
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        reason = os.strerror(error.errno or 0).lower()
        raise CannotCreateError(f"cannot be written: {reason}", path=path) from error


def read_text_file(path: Path, largest_bytes: int) -> str:
    """Read a whole text file, and nothing that never ends.

    Raises:
        InputMissingError: It is not there, may not be read, or is a directory, pipe or device.
        DataError: It is too large, or not UTF-8.
    """
    if path.exists() and not path.is_file():
        raise InputMissingError("is no file", path=path)
    try:
        with path.open("rb") as stream:
            data = stream.read(largest_bytes + 1)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise InputMissingError(f"cannot be read: {reason}", path=path) from error
    if len(data) > largest_bytes:
        raise DataError(f"is larger than {largest_bytes >> 20} MiB", path=path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("is not UTF-8", path=path,
                        hint="convert it first: iconv -f LATIN1 -t UTF-8") from error  # fmt: skip


def read_conversation(path: Path) -> list[Message]:
    """Read the last conversation of a JSONL file.

    Raises:
        InputMissingError: There is no such file.
        DataError: It holds no conversation.
    """
    return read_saved(path).messages


@dataclass(frozen=True, slots=True)
class SavedConversation:
    """One conversation on disk.

    Attributes:
        path: Its file.
        messages: The conversation.
        model: Path of the model it was held with, "" where it is not said.
        template: Name of the words around its requests, "" where it is not said.
    """

    path: Path
    messages: list[Message]
    model: str
    template: str

    @property
    def requests(self) -> list[str]:
        """The texts of the user's messages."""
        return [message["content"] for message in self.messages if message["role"] == "user"]


def read_saved(path: Path) -> SavedConversation:
    """Read the last conversation of a JSONL file, with what is known of it.

    Raises:
        InputMissingError: There is no such file.
        DataError: It holds no conversation.
    """
    lines = read_text_file(path, LARGEST_FILE_BYTES).split("\n")
    filled = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not filled:
        raise DataError("holds no conversation", path=path)
    number, line = filled[-1]
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError("not valid JSON", path=path, line=number) from error
    fields = record if isinstance(record, dict) else {}
    try:
        messages = check_messages(fields.get("messages"))
    except DataError as error:
        raise DataError(error.message, path=path, line=number) from error
    return SavedConversation(
        path, messages, str(fields.get("model", "")), str(fields.get("template", ""))
    )


def saved_files(folder: Path) -> list[Path]:
    """Return the saved conversations of a folder, the one that was last saved first."""
    files = []
    try:
        for path in folder.glob("*.jsonl"):
            with suppress(OSError):  # a link to nowhere, a file that was removed just now
                if path.is_file():
                    files.append((path.stat().st_mtime_ns, path.name, path))
    except OSError:
        return []
    return [path for _, _, path in sorted(files, reverse=True)]


def find_saved(folder: Path, choice: str | None) -> Path:
    """Return the file of a saved conversation.

    Args:
        folder: Where they are kept.
        choice: Its number in `saved_files`, from 1, its name or the beginning of it; None for
            the newest.

    Raises:
        InputMissingError: There is none, or several begin so.
    """
    files = saved_files(folder)
    if not files:
        raise InputMissingError("no conversation is saved here", path=folder)
    if choice is None:
        return files[0]
    if choice.isdecimal() and 1 <= int(choice) <= len(files):
        return files[int(choice) - 1]
    found = [path for path in files if path.name == choice] or [
        path for path in files if choice and path.stem.startswith(choice.removesuffix(".jsonl"))
    ]
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} conversations begin with" if found else "there is no conversation"
    raise InputMissingError(f'{what} "{choice}"', path=folder,
                            hint="/load without a name lists them")  # fmt: skip


def check_messages(messages: Any) -> list[Message]:
    """Return a conversation that was read from a file, once it is known to be one.

    Raises:
        DataError: It is no list of messages with role and content.
    """
    if not isinstance(messages, list) or not messages:
        raise DataError('"messages" is no list of messages')
    for message in messages:
        fits = isinstance(message, dict) and isinstance(message.get("content"), str)
        if not fits or message.get("role") not in ROLES:
            raise DataError('a message needs a "role" (system, user or assistant) and a "content"')
    return [
        {key: m[key] for key in ("role", "content", "input") if isinstance(m.get(key), str)}
        for m in messages
    ]


class Transcript:
    """The file that a session saves itself to.

    Args:
        folder: Where transcripts are kept; made when the first answer comes.
        model: The model's path, kept with the conversation.
    """

    def __init__(self, folder: Path, model: str) -> None:
        self.folder = folder
        self._model = model
        self._known: tuple[int, ...] | None = None  # state of the file as this chat left it
        self.path: Path | None = None

    def save(self, messages: list[Message], template: str) -> bool:
        """Write the conversation as it stands.

        Returns:
            Whether it went to another file than before, because another chat has written to that.

        Raises:
            CannotCreateError: The folder or the file cannot be made.
        """
        has_moved = self.path is not None and _state(self.path) != self._known
        if self.path is None or has_moved:
            self.path = self._new_path()
        write_conversation(self.path, messages, model=self._model, template=template)
        self._known = _state(self.path)
        return has_moved

    def begin_another(self) -> None:
        """Save what follows to a new file."""
        self.path = None

    def go_on_with(self, path: Path) -> None:
        """Save what follows to the file of an earlier conversation."""
        self.path, self._known = path, _state(path)

    def _new_path(self) -> Path:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise CannotCreateError("cannot be made", path=self.folder,
                                    hint="give --no-save") from error  # fmt: skip
        stamp = time.strftime("%Y%m%d-%H%M%S")
        names = (f"{stamp}-{os.getpid()}-{number:02}.jsonl" for number in itertools.count(1))
        return next(path for path in map(self.folder.joinpath, names) if not path.exists())


def _state(path: Path) -> tuple[int, ...] | None:
    """Return what changes when a file is written anew; None where there is none."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_mtime_ns, state.st_size
