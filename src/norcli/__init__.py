"""norcli: Norwegian language models from the command line.

Subcommands that read and write JSONL, Parquet and safetensors and pipe together, from web crawl
to terminal chat, after the NorwAI technical report. Nothing is imported here on purpose: the
command line starts in a tenth of a second.
"""

__version__ = "0.1.0"
