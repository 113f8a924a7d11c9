"""Files that /read takes, and those it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from norcli.chat.attachment import LARGEST_BYTES, read_attachment
from norcli.errors import NorcliError


def test_text_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"\xef\xbb\xbf\n\xc4\x8c\xc3\xa1hci.\n")
    assert read_attachment(file).text == "Čáhci."
    assert read_attachment(file).about == "a.txt, 6 characters"


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"bl\xe5b\xe6r", "is not UTF-8"), (b" \n", "is empty"), (b"a\0b", "is no text"),
     (b"x" * (LARGEST_BYTES + 1), "larger than 16 MiB")],
)  # fmt: skip
def test_what_is_no_text_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(data)
    with pytest.raises(NorcliError, match=message):
        read_attachment(file)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", Path("/dev/null")):
        with pytest.raises(NorcliError) as raised:
            read_attachment(path)
        assert raised.value.code == 66
