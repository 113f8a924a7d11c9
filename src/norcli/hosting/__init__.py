"""Models for others to ask: an HTTP server, and files for other programs that serve models."""
