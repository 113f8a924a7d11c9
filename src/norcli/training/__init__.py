"""Training: pretraining and instruction tuning on one loop (report sections 3.2 and 3.3.1)."""
