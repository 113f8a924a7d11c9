"""Metrics over prediction records; `norcli.evaluation.metrics.catalogue` names them all."""
