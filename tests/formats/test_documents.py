"""Records come in with their place, go out as they were, and shards add up to the whole."""

from __future__ import annotations

import gzip
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from norcli.console import Console
from norcli.errors import CannotCreateError, DataError, InputMissingError, UsageError
from norcli.formats.documents import (
    BadRecords,
    Place,
    RecordWriter,
    input_paths,
    parse_json_line,
    read_documents,
    read_records,
    text_id,
)
from norcli.options import RecordInputOptions, RecordOutputOptions


@dataclass(kw_only=True)
class Options(RecordInputOptions, RecordOutputOptions):
    pass


def options(*paths: Path | str, **more: Any) -> Options:
    return Options(inputs=[str(path) for path in paths], **more)


def console() -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(stream=stream, progress=False), stream


def records(given_options: Options) -> list[tuple[Place, dict[str, Any]]]:
    return list(read_records(given_options, Console.silent()))


def test_records_keep_order_unknown_fields_and_place(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"z": 1, "text": "én", "a": [2]}\n\n{"text": "to"}\n', encoding="utf-8")
    assert records(options(file)) == [
        (Place(str(file), 1), {"z": 1, "text": "én", "a": [2]}),
        (Place(str(file), 3), {"text": "to"}),
    ]
    assert list(records(options(file))[0][1]) == ["z", "text", "a"]


def test_a_missing_id_is_made_from_the_text(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "hei"}\n{"id": 7, "text": "hei"}\n', encoding="utf-8")
    ids = [document.id for document in read_documents(options(file), Console.silent())]
    assert ids == [text_id("hei"), "7"]
    assert ids[0].startswith("sha256:") and len(ids[0]) == len("sha256:") + 32


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"text": "h\xe5"}', "not UTF-8: byte 0xe5 at column 12"),
        (b'{"text": ', "not valid JSON"),
        (b"[1]", "a record must be a JSON object"),
        (b'{"a": NaN}', "not valid JSON"),
    ],
)
def test_what_is_no_record_is_told_with_its_place(line: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        parse_json_line(line, Place("x.jsonl", 17))
    assert str(caught.value).startswith("x.jsonl:17: ")


def test_stop_ends_at_the_first_bad_record_and_skip_counts(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"text": "a"}\nbroken\n{"no": 1}\n{"text": 5}\n{"text": "b"}\n')
    with pytest.raises(DataError, match="not valid JSON") as caught:
        list(read_documents(options(file), Console.silent()))
    assert caught.value.hint == "give --on-bad-record skip to leave such records out"
    speaking, stream = console()
    skipping = options(file, on_bad_record="skip")
    bad = BadRecords(skipping, speaking)
    assert [d.text for d in read_documents(skipping, speaking, bad)] == ["a", "b"]
    assert bad.count == 3
    assert stream.getvalue().count("\n") == 1


def test_more_bad_records_than_allowed_end_the_run(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text("x\ny\nz\n")
    with pytest.raises(DataError, match="more than 1 bad records") as caught:
        records(options(file, on_bad_record="skip", max_bad=1))
    assert caught.value.line == 2


def test_the_hint_names_the_fields_there_are(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"content": "hei", "url": "u"}\n')
    with pytest.raises(DataError) as caught:
        list(read_documents(options(file), Console.silent()))
    assert caught.value.hint == "name the field with --text-key (found: content, url)"


def test_text_files_give_a_record_a_line(tmp_path: Path) -> None:
    file = tmp_path / "a.txt.gz"
    file.write_bytes(gzip.compress("én\r\n\nto\n".encode()))
    assert [record for _, record in records(options(file))] == [{"text": "én"}, {"text": "to"}]


def test_limit_is_over_all_inputs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(f"{name}1\n{name}2\n")
    read = records(options(tmp_path / "a.txt", tmp_path / "b.txt", limit=3))
    assert [record["text"] for _, record in read] == ["a1", "a2", "b1"]


def test_missing_files_and_directories_are_told_before_reading(tmp_path: Path) -> None:
    with pytest.raises(InputMissingError, match="no such file"):
        input_paths(options(tmp_path / "none.jsonl"))
    with pytest.raises(DataError, match="is a directory"):
        input_paths(options(tmp_path))


def test_names_come_from_a_file_and_an_empty_list_is_an_empty_input(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hei\n")
    names = tmp_path / "names"
    names.write_text(f"\n{tmp_path}/a.txt\n")
    assert input_paths(Options(files_from=str(names))) == [f"{tmp_path}/a.txt"]
    names.write_text("\n")
    assert input_paths(Options(files_from=str(names))) == []
    assert input_paths(Options()) == ["-"]


def test_listed_names_need_not_be_utf8(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/bl\xe5.jsonl"
    Path(os.fsdecode(odd)).touch()
    names = tmp_path / "names"
    names.write_bytes(odd + b"\r\n")
    assert input_paths(Options(files_from=str(names))) == [os.fsdecode(odd)]


def test_a_pipe_cannot_be_sharded() -> None:
    with pytest.raises(UsageError, match="--shard needs files"):
        records(Options(shard="0/2"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.lists(st.text("aåž\r ", max_size=12), max_size=12), min_size=1, max_size=3),
    st.integers(1, 7),
    st.booleans(),
)
def test_shards_add_up_to_the_whole_with_the_same_places(
    tmp_path: Path, files: list[list[str]], count: int, ends_with_newline: bool
) -> None:
    paths = []
    for number, lines in enumerate(files):
        path = tmp_path / f"{number}.jsonl"
        text = "\n".join(json.dumps({"text": line}, ensure_ascii=False) for line in lines)
        path.write_bytes((text + "\n" * ends_with_newline).encode())
        paths.append(path)
    whole = records(options(*paths))
    parts = [records(options(*paths, shard=f"{k}/{count}")) for k in range(count)]
    assert [item for part in parts for item in part] == whole


def test_a_compressed_file_belongs_to_one_shard(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl.gz"
    file.write_bytes(gzip.compress(b'{"text": "a"}\n' * 10))
    assert [len(records(options(file, shard=f"{k}/3"))) for k in range(3)] == [10, 0, 0]


@pytest.mark.parametrize("name", ["o.jsonl", "o.jsonl.gz", "o.jsonl.zst", "o.parquet"])
def test_written_records_come_back(tmp_path: Path, name: str) -> None:
    written = [{"id": "1", "text": "én «to»\n", "n": 1}, {"id": "2", "text": "ž", "n": 2}]
    with RecordWriter(Options(output=str(tmp_path / name))) as writer:
        for record in written:
            writer.write(record)
    assert [record for _, record in records(options(tmp_path / name))] == written
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["o.jsonl", "o.jsonl.gz", "o.parquet", "o.txt"])
def test_a_line_is_written_as_its_record_would_be(tmp_path: Path, name: str) -> None:
    record = {"id": "1", "text": "én «to»", "n": 1.0}
    line = b'{"id": "1", "text": "\\u00e9n \xc2\xabto\xc2\xbb", "n": 1.0}'
    with RecordWriter(Options(output=str(tmp_path / name))) as writer:
        writer.write_line(line)
        writer.write_line(line + b"\n")
    assert writer.records == 2
    expected = {"text": "én «to»"} if name.endswith(".txt") else record
    assert [read for _, read in records(options(tmp_path / name))] == [expected] * 2
    if name == "o.jsonl":
        assert (tmp_path / name).read_bytes() == (line + b"\n") * 2
        assert writer.bytes == 2 * len(line) + 2


def test_text_output_is_a_line_a_document(tmp_path: Path) -> None:
    with RecordWriter(Options(output=str(tmp_path / "o.txt"))) as writer:
        writer.write({"id": "1", "text": "én\r\nto"})
    assert (tmp_path / "o.txt").read_bytes() == "én to\n".encode()


def test_an_error_leaves_no_output(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError),
        RecordWriter(Options(output=str(tmp_path / "o.gz"))) as writer,
    ):
        writer.write({"id": "1"})
        raise RuntimeError
    with (
        pytest.raises(DataError),
        RecordWriter(Options(output=str(tmp_path / "o.parquet"))) as writer,
    ):
        writer.write({"x": 1})
        writer.write({"x": "text"})
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_kept_unless_told(tmp_path: Path) -> None:
    target = tmp_path / "o.jsonl"
    target.write_text("old")
    with pytest.raises(CannotCreateError), RecordWriter(Options(output=str(target))):
        pass
    assert target.read_text() == "old"
    with RecordWriter(Options(output=str(target), overwrite=True)) as writer:
        writer.write({"id": "new"})
    assert json.loads(target.read_text()) == {"id": "new"}
