"""The language model on disk: a table of 8-bit weights in safetensors, and what describes it.

Read by the identifier, written by tools/train_langid.py. Everything that scoring depends on is in
the file's metadata; nothing about the model is a constant elsewhere.
"""

from __future__ import annotations

CLASSES = ("nob", "nno", "sme", "smj", "sma", "dan", "swe", "deu", "eng", "other")
class Model: ...
def save_model(): ...
