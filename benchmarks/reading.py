"""How fast inputs become documents: norcli's readers beside datatrove's and warcio, in one run.

Both read the same reviews (text from a folder given as argument, or NORCLI_REAL_DATA) as JSONL,
gzip, zstd and Parquet, and the same crawl as WARC without extracting the pages; CPU time (user and
system) of a fresh process each, median of three, start-up included. datatrove makes a Document a
record, norcli a RawDocument, by way of the units that travel to workers; of mC4 norcli also makes
ids, dates and provenance.

    python benchmarks/reading.py [FOLDER]
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import orjson
import zstandard
from recording import cpu_seconds, record

NORCLI = """
import sys
from norcli.console import Console
from norcli.corpus.options import CrawlFilterOptions
from norcli.corpus.sources.reader import read_units
from norcli.formats.bad_records import BadRecords
options = CrawlFilterOptions(inputs=[sys.argv[1]], layout=sys.argv[2])
bad = BadRecords(options, Console.silent())
count = sum(1 for unit in read_units(options, Console.silent(), bad)
            for _ in unit.documents(options, bad))
print(count)
"""
DATATROVE = """
import sys
from pathlib import Path
from datatrove.pipeline.readers import JsonlReader, ParquetReader
path = Path(sys.argv[1])
reader = ParquetReader if path.suffix == ".parquet" else JsonlReader
print(sum(1 for _ in reader(str(path.parent), glob_pattern=path.name).run()))
"""
WARCIO = """
import sys
from warcio.archiveiterator import ArchiveIterator
with open(sys.argv[1], "rb") as stream:
    print(sum(len(record.content_stream().read()) > 0 for record in ArchiveIterator(stream)
              if record.rec_type in ("response", "resource")))
"""


def make_inputs(folder: Path, real: Path) -> dict[str, Path]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    reviews = gzip.decompress((real / "text" / "norec_reviews.jsonl.gz").read_bytes()) * 6
    paths = {name: folder / f"reviews.{name}" for name in ("jsonl", "jsonl.gz", "jsonl.zst")}
    paths["jsonl"].write_bytes(reviews)
    paths["jsonl.gz"].write_bytes(gzip.compress(reviews, 6))
    paths["jsonl.zst"].write_bytes(zstandard.compress(reviews))
    rows = [orjson.loads(line) for line in reviews.splitlines()]
    paths["parquet"] = folder / "reviews.parquet"
    pq.write_table(pa.Table.from_pylist(rows), paths["parquet"], compression="zstd")
    paths["mc4"] = folder / "mc4.jsonl"
    with paths["mc4"].open("wb") as stream:
        for number, row in enumerate(rows):
            made = {"text": row["text"], "timestamp": "2019-02-18T00:03:13Z",
                    "url": f"https://side.example/{number}"}  # fmt: skip
            stream.write(orjson.dumps(made, option=orjson.OPT_APPEND_NEWLINE))
    paths["warc.gz"] = folder / "web.warc.gz"
    paths["warc.gz"].write_bytes((real / "crawl" / "web.warc.gz").read_bytes() * 8)
    return paths


def documents(program: str, path: Path, layout: str) -> int:
    command = [sys.executable, "-c", program, str(path), layout]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def main() -> None:
    real = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["NORCLI_REAL_DATA"])
    with tempfile.TemporaryDirectory() as folder:
        paths = make_inputs(Path(folder), real)
        unpacked = paths["jsonl"].stat().st_size
        for name, path in paths.items():
            layout = "mc4" if name == "mc4" else "auto"
            size = path.stat().st_size if name in ("mc4", "warc.gz") else unpacked
            peer, program = ("warcio", WARCIO) if name == "warc.gz" else ("datatrove", DATATROVE)
            ours = cpu_seconds([sys.executable, "-c", NORCLI, str(path), layout], runs=3)
            theirs = cpu_seconds([sys.executable, "-c", program, str(path)], runs=3)
            record("reading", {
                "input": name, "bytes": size, "peer": peer,
                "norcli_documents": documents(NORCLI, path, layout),
                "peer_documents": documents(program, path, layout),
                "norcli_cpu_seconds": round(ours, 3), "norcli_mb_per_s": round(size / ours / 1e6),
                "peer_cpu_seconds": round(theirs, 3),
                "peer_mb_per_s": round(size / theirs / 1e6), "ratio": round(theirs / ours, 2),
            })  # fmt: skip


if __name__ == "__main__":
    main()
