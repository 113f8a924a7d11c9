"""Tokenizers and token shards: train, measure, encode."""
