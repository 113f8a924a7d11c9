"""The command line: parsing only. Each command is one thin file; cores never know of it."""
