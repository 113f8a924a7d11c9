"""Hugging Face directories to GGUF files of llama.cpp's types, in one step and without torch."""
