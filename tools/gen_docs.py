"""Write man pages, completions and docs/cli.md from the options dataclasses.

    python tools/gen_docs.py           write them
    python tools/gen_docs.py --check   exit 1 and name the stale ones

The one source is `norcli.cli.registry` and each command's dataclass. The date is that of the newest
CHANGELOG entry, so the same source gives the same bytes on any day.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from completions import bash_completion, fish_completion, zsh_completion
from man_pages import command_page, overview_page
from norcli.cli.help import command_help, overview
from norcli.cli.registry import REGISTRY, load, top_level

os.environ["COLUMNS"] = "100"  # help is as wide as the terminal; the reference is not
ROOT = Path(__file__).resolve().parent.parent


def changelog_date() -> str:
    """Return the date of the newest dated entry of the changelog."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    match = re.search(r"^## .*(\d{4}-\d{2}-\d{2})", text, re.MULTILINE)
    if match is None:
        raise SystemExit("CHANGELOG.md has no dated entry")
    return match.group(1)


def cli_reference() -> str:
    """Return docs/cli.md: the help of every command, as printed at 100 columns."""
    parts = ["# Command reference", "", "Made by tools/gen_docs.py from the options dataclasses.",
             "", "```", overview().rstrip(), "```"]  # fmt: skip
    for name in REGISTRY:
        text = command_help(name, load(name)).rstrip()
        parts += ["", f"## norcli {name}", "", "```", text, "```"]
    return "\n".join(parts) + "\n"


def generate() -> dict[Path, str]:
    """Return every generated file with its content."""
    date = changelog_date()
    files = {Path("docs/cli.md"): cli_reference(), Path("man/man1/norcli.1"): overview_page(date)}
    for name in top_level():
        files[Path(f"man/man1/norcli-{name}.1")] = command_page(name, date)
    files[Path("completions/norcli.bash")] = bash_completion()
    files[Path("completions/_norcli")] = zsh_completion()
    files[Path("completions/norcli.fish")] = fish_completion()
    return files


def main() -> int:
    """Write or check the generated files."""
    check = "--check" in sys.argv[1:]
    stale = []
    for name, text in generate().items():
        path = ROOT / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(str(name))
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if check and stale:
        print("stale, run make docs: " + " ".join(stale), file=sys.stderr)
        return 1
    if not check:
        print(f"wrote {len(stale)} files" if stale else "nothing to write")
    return 0


if __name__ == "__main__":
    sys.exit(main())
