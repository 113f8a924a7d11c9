"""Saved conversations can be loaded, trained on, and shown without harm."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from norcli.chat.transcript import Transcript, read_conversation, write_conversation
from norcli.errors import CannotCreateError, DataError, InputMissingError
from norcli.formats.documents import Place
from norcli.training.instructions import record_messages

TALK = [
    {"role": "system", "content": "Kort."},
    {"role": "user", "content": "Hei 👋", "input": "tekst"},
    {"role": "assistant", "content": "\x1b[2J\x9b2J\u202e snill"},
]


def test_round_trip_and_form_of_sft(tmp_path: Path) -> None:
    path = tmp_path / "samtale.jsonl"
    write_conversation(path, TALK, model="m.gguf")
    assert read_conversation(path) == TALK
    assert path.stat().st_mode & 0o777 == 0o600
    record = json.loads(path.read_text("utf-8"))
    assert record_messages(record, Place(str(path), 1)) == TALK


def test_file_shows_no_control_characters(tmp_path: Path) -> None:
    path = tmp_path / "samtale.jsonl"
    write_conversation(path, TALK)
    text = path.read_text("utf-8")
    assert text.count("\n") == 1
    assert not {"\x1b", "\x9b", "\u202e"} & set(text)
    assert "👋" in text


def test_session_saves_over_its_own_file_only(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path / "norcli" / "chats", "m.gguf")
    transcript.save(TALK[:2], "norwai")
    first = transcript.path
    transcript.save(TALK, "norwai")
    assert transcript.path == first
    transcript.begin_another()
    transcript.save(TALK, "norwai")
    assert transcript.path != first
    assert len(list(transcript.folder.iterdir())) == 2
    assert transcript.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no conversation"),
        ("{", "1: not valid JSON"),
        ("\n[]", "2: .*no list of messages"),
        ('{"messages": []}', "no list of messages"),
        ('{"messages": [{"role": "robot", "content": "x"}]}', 'needs a "role"'),
        ('{"messages": [{"role": "user"}]}', 'needs a "role"'),
    ],
)
def test_bad_files_are_refused_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "samtale.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_conversation(path)
    assert str(path) in str(caught.value)


def test_missing_file_and_bad_folder(tmp_path: Path) -> None:
    with pytest.raises(InputMissingError):
        read_conversation(tmp_path / "ikke")
    (tmp_path / "fil").write_text("")
    with pytest.raises(CannotCreateError, match="no-save"):
        try:
            Transcript(tmp_path / "fil" / "chats", "m").save(TALK, "norwai")
        except CannotCreateError as error:
            raise CannotCreateError(str(error.hint)) from error
