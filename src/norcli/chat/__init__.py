"""Talk with a model: engines for GGUF files and Hugging Face directories, sessions, terminal."""
