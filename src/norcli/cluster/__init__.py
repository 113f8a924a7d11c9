"""Job scripts for GPU clusters (the report's models were trained on SLURM nodes)."""
