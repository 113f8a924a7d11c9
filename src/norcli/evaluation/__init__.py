"""Evaluation: models on local task files, predictions that exist already (report, section 4)."""
