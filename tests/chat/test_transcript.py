"""Saved conversations can be loaded, trained on, and shown without harm."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from norcli.chat.transcript import (
    Transcript,
    read_conversation,
    saved_files,
    write_conversation,
)
from norcli.errors import CannotCreateError, DataError, InputMissingError, NorcliError
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


def test_two_chats_never_write_over_each_other(tmp_path: Path) -> None:
    first, second = (Transcript(tmp_path, "m.gguf") for _ in range(2))
    assert not first.save(TALK, "norwai")
    assert first.path is not None
    second.go_on_with(first.path)
    assert not second.save(TALK[:2], "norwai")
    assert not second.save(TALK[1:2], "norwai")
    assert first.save(TALK, "norwai")
    assert first.path != second.path
    assert not first.save(TALK, "norwai")
    assert second.path is not None
    assert [len(read_conversation(path)) for path in (first.path, second.path)] == [3, 1]
    second.path.unlink()
    assert second.save(TALK, "norwai")


def test_broken_files_hide_no_others_and_hang_nothing(tmp_path: Path) -> None:
    write_conversation(tmp_path / "god.jsonl", TALK)
    (tmp_path / "lenke.jsonl").symlink_to(tmp_path / "borte")
    (tmp_path / "mappe.jsonl").mkdir()
    os.mkfifo(tmp_path / "rør.jsonl")
    (tmp_path / "dyp.jsonl").write_text('{"messages": ' + "[" * 100_000)
    (tmp_path / "latin.jsonl").write_bytes(b"\xe5")
    found = {path.name for path in saved_files(tmp_path)}
    assert found == {"god.jsonl", "dyp.jsonl", "latin.jsonl"}
    for name in ("rør", "mappe", "lenke", "dyp", "latin"):
        with pytest.raises(NorcliError):
            read_conversation(tmp_path / f"{name}.jsonl")
    with pytest.raises(InputMissingError, match="is no file"):
        read_conversation(Path("/dev/zero"))
