"""The corpus generator of the benchmarks, loaded for tests from where it stands."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_path = Path(__file__).resolve().parents[2] / "benchmarks" / "dedup_corpus.py"
_spec = importlib.util.spec_from_file_location("dedup_corpus", _path)
assert _spec is not None and _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)

edited = _module.edited
made_up_texts = _module.made_up_texts
make_corpus = _module.make_corpus
score = _module.score
true_pairs = _module.true_pairs
