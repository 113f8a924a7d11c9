"""Feed damaged files to the readers of crawl-filter for some minutes, and say what came of it.

Files of every format and layout are made from tests/fixtures, damaged in one to four ways, and read
as `crawl-filter` would: whole, in shards, with a layout named or not. Nothing but a document or a
told fault may come of it; what shards read must be what the whole gives. A find is written to the
folder given, with the seed that makes it again.

    python tools/fuzz_readers.py --minutes 10 --seed 1 --finds /tmp/finds
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import zstandard

from norcli.console import Console
from norcli.corpus.options import LAYOUTS, CrawlFilterOptions
from norcli.corpus.sources.raw import RawDocument
from norcli.corpus.sources.reader import read_units
from norcli.formats.bad_records import BadRecords, FaultList

FIXTURES = Path(__file__).resolve().parents[1] / "tests" / "fixtures" / "layouts"
FORMATS = ("auto", "auto", "auto", "jsonl", "json", "text", "document", "html", "subtitles",
           "warc", "parquet")  # fmt: skip
TOKENS = (
    b"\0", b"\n", b"\r\n\r\n", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b"null", b"1e999", b"-->",
    b"WARC/1.0\r\n", b"Content-Length: ", b"99999999999", b"HTTP/1.1 200 OK\r\n", b"\xff\xfe",
    b"\xef\xbb\xbf", b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"PAR1", b"<html>", b"\\ud800",
    "æøå".encode(), b"\xc3", b"\xed\xa0\x80", b"00:00:01.000 --> ", b'"text": ', b'"segments": [',
)  # fmt: skip


def make_warc(bodies: list[bytes]) -> bytes:
    records = []
    for number, body in enumerate(bodies):
        http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
        head = (
            f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://x.example/{number}\r\n"
            f"Content-Length: {len(http)}\r\n\r\n"
        )
        records.append(head.encode() + http + b"\r\n\r\n")
    return b"".join(records)


def make_parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def make_seeds() -> list[tuple[str, bytes]]:
    """Return sound files as (name, bytes)."""
    seeds = [(path.name, path.read_bytes()) for path in sorted(FIXTURES.iterdir())
             if path.name not in ("README.md", "expected.jsonl")]  # fmt: skip
    page = "<html><head><title>Ø</title></head><body><p>Hei på deg</p></body></html>".encode()
    crawl = make_warc([page, b"", page * 3])
    seeds += [("web.warc", crawl), ("page.html", page)]
    seeds.append(("web.warc.gz", b"".join(gzip.compress(make_warc([page])) for _ in range(3))))
    rows = [json.loads(line) for line in (FIXTURES / "culturax.jsonl").read_bytes().splitlines()]
    seeds.append(("culturax.parquet", make_parquet(rows * 20)))
    lines = b"".join(b'{"id": "%d", "text": "linje"}\n' % k for k in range(50))
    seeds += [("lines.jsonl", lines), ("lines.txt", lines), ("empty.jsonl", b"")]
    seeds += [(f"{name}.gz", gzip.compress(data)) for name, data in seeds[:6]]
    seeds += [(f"{name}.zst", zstandard.compress(data)) for name, data in seeds[:6]]
    seeds.append(("two.jsonl.zst", zstandard.compress(lines) + zstandard.compress(lines)))
    seeds.append(("wide.jsonl", lines.decode().encode("utf-16")))
    return seeds


def damage(data: bytes, chance: random.Random) -> bytes:
    """Return the data damaged in one way."""
    size = len(data)
    at, to = sorted((chance.randrange(size + 1), chance.randrange(size + 1)))
    kind = chance.randrange(7)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + data[to:]
    if kind == 2:
        return data[:at] + chance.choice(TOKENS) * chance.choice((1, 1, 2, 300)) + data[at:]
    if kind == 3:
        return data[:to] + data[at:to] * chance.choice((1, 5)) + data[to:]
    if kind == 4:
        return data[:at] + chance.randbytes(chance.randrange(1, 9)) + data[at + 4 :]
    if kind == 5 and size:
        flipped = bytearray(data)
        for _ in range(chance.randrange(1, 6)):
            flipped[chance.randrange(size)] ^= 1 << chance.randrange(8)
        return bytes(flipped)
    return data.replace(chance.choice((b"text", b'"', b"\n", b"0", b" ")), chance.choice(TOKENS), 3)


def read(options: CrawlFilterOptions) -> tuple[list[RawDocument], list[str]]:
    """Read as workers do; return documents and faults."""
    faults = FaultList()
    quiet = Console.silent()
    units = read_units(options, quiet, BadRecords(options, quiet))
    documents = [document for unit in units for document in unit.documents(options, faults)]
    return documents, [str(error) for error, _ in faults.faults]


def check(options: CrawlFilterOptions, path: Path) -> tuple[int, int]:
    """Read a file whole and in shards; return how many documents and faults there are.

    Raises:
        Exception: Whatever a reader lets through, or an AssertionError.
    """
    documents, faults = read(options)
    for document in documents:
        assert isinstance(document.text, str) or document.page is not None or document.fault
        json.dumps(document.fields, default=str)
    for fault in faults:
        assert fault.startswith(str(path)), fault
    parts = []
    for k in range(3):
        options.shard = f"{k}/3"
        parts.append(read(options))
    assert [d for part in parts for d in part[0]] == documents, "shards give other documents"
    assert [f for part in parts for f in part[1]] == faults, "shards give other faults"
    return len(documents), len(faults)


def fuzz_once(
    seed: int, seeds: list[tuple[str, bytes]], folder: Path
) -> tuple[Path, str, int, int]:
    """Make, damage and read one file; return it, its format, documents and faults."""
    chance = random.Random(seed)
    name, data = chance.choice(seeds)
    for _ in range(chance.choice((1, 1, 2, 4))):
        data = damage(data, chance)
    if chance.random() < 0.1:
        data = chance.choice((gzip.compress, zstandard.compress))(data)
    path = folder / (name if chance.random() < 0.8 else "data.bin")
    path.write_bytes(data)
    options = CrawlFilterOptions(
        inputs=[str(path)],
        input_format=chance.choice(FORMATS),
        layout=chance.choice(LAYOUTS) if chance.random() < 0.3 else "auto",
        text_key=chance.choice(("text", "text", "text", "content")),
        max_record_mib=1,
    )
    return check(options, path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="CPU time to spend")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--finds", type=Path, help="folder for files that broke a reader")
    options = parser.parse_args()
    seeds = make_seeds()
    counts: Counter[str] = Counter()
    finds: dict[str, int] = {}
    begun = time.process_time()
    seed = options.seed
    with tempfile.TemporaryDirectory() as folder:
        while time.process_time() - begun < 60 * options.minutes:
            seed += 1
            try:
                documents, faults = fuzz_once(seed, seeds, Path(folder))
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                kind = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
                counts["finds"] += 1
                if kind not in finds:
                    finds[kind] = seed
                    print(f"seed {seed}: {kind}: {str(error)[:200]}", flush=True)
                    if options.finds:
                        options.finds.mkdir(parents=True, exist_ok=True)
                        for file in Path(folder).iterdir():
                            (options.finds / f"{seed}-{file.name}").write_bytes(file.read_bytes())
            else:
                counts["files"] += 1
                counts["documents"] += documents
                counts["faults"] += faults
            for file in Path(folder).iterdir():
                file.unlink()
    spent = time.process_time() - begun
    print(
        f"{spent / 60:.1f} CPU minutes, seeds {options.seed + 1} to {seed}: {counts['files']} files"
        f" read to {counts['documents']} documents and {counts['faults']} told faults;"
        f" {counts['finds']} finds of {len(finds)} kinds"
    )
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main())
