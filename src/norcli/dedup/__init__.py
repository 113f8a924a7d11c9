"""Deduplication: exact and near duplicates of documents, found, explained and dropped."""
