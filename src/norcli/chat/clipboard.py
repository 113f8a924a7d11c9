"""Copy a text: with the desktop's own program where there is one, and through the terminal.

OSC 52 asks the terminal itself, which works over ssh, too; but no terminal says whether it
obeyed, so what was done is told in words that promise no more.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import TextIO

# xterm takes no longer sequence; others cut it without a word.
LONGEST_OSC52_BYTES = 74_994
PROGRAM_SECONDS = 5.0


def copy_text(text: str, terminal: TextIO | None, environment: Mapping[str, str]) -> str:
    """Copy a text; return what was done as a sentence.

    Args:
        text: What to copy.
        terminal: To ask through OSC 52; None for a terminal that knows no escape sequences.
        environment: Tells which desktop there is.
    """
    what = f"{len(text)} characters"
    command = find_program(environment)
    done = []
    if command is not None:
        failure = _run(command, text)
        done.append(failure or f"copied {what} with {command[0]}")
    if terminal is None:
        return (
            "; ".join(done)
            or "nothing was copied: no wl-copy, xclip or pbcopy, and a dumb terminal"
        )
    encoded = base64.b64encode(text.encode("utf-8", errors="replace")).decode("ascii")
    if len(encoded) > LONGEST_OSC52_BYTES:
        done.append(f"{what} are too many for the terminal's clipboard (OSC 52)")
    else:
        terminal.write(f"\x1b]52;c;{encoded}\x07")
        terminal.flush()
        done.append(f"sent {what} to the terminal (OSC 52), which may or may not take them")
    return "; ".join(done)


def find_program(environment: Mapping[str, str]) -> list[str] | None:
    """Return the command that copies its standard input, None where there is no desktop."""
    choices = []
    if sys.platform == "darwin":
        choices.append(["pbcopy"])
    if environment.get("WAYLAND_DISPLAY"):
        choices.append(["wl-copy"])
    if environment.get("DISPLAY"):
        choices.append(["xclip", "-selection", "clipboard"])
    return next((command for command in choices if shutil.which(command[0])), None)


def _run(command: list[str], text: str) -> str:
    """Run a program; return what went wrong, "" if nothing."""
    try:
        # These programs stay in the background to serve the clipboard: no pipe may be waited for.
        result = subprocess.run(
            command, input=text.encode("utf-8", errors="replace"), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, timeout=PROGRAM_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return f"{command[0]} did not answer"
    return "" if result.returncode == 0 else f"{command[0]} failed ({result.returncode})"
