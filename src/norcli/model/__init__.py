"""The model family: presets as data, sizes and memory, configurations and weights."""
