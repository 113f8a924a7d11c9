"""Run the terminal with answers that were written beforehand: no model, so that it starts at once.

Usage: scripted_chat.py STATE ANSWERS [WORD …], where ANSWERS is a JSON file with a list of lists of
chunks and the words are options of ``norcli chat``. A chunk is a text; {"draft": TEXT}; or
{"wait": FILE}, where the answer goes on once the file is there.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from scripted_engine import ScriptedEngine

from norcli.chat.commands import go_on_with
from norcli.chat.engines import Sampling
from norcli.chat.options import ChatOptions
from norcli.chat.prompting import Template
from norcli.chat.session import Session
from norcli.chat.talk import Surroundings, find_earlier, make_terminal
from norcli.chat.thinking import Thought
from norcli.console import Console
from norcli.streams import claim_stdout, install_signal_handlers


def main() -> None:
    claim_stdout()
    install_signal_handlers()
    state, answers, *words = sys.argv[1:]
    script = json.loads(Path(answers).read_text("utf-8"))
    engine = ScriptedEngine([[_chunk(c) for c in answer] for answer in script], context=2000)
    engine.on_chunk = lambda position: time.sleep(0.002)
    options = ChatOptions(model="script", markdown="--no-markdown" not in words,
                          resume="--resume" in words)  # fmt: skip
    console = Console("norcli chat")
    session = Session(engine, Template("norwai"), Sampling(max_new_tokens=500))
    surroundings = Surroundings(Path(state), console.is_terminal and console.uses_color)
    terminal = make_terminal(options, session, surroundings, console)
    earlier = find_earlier(options, surroundings.state / "chats")
    if earlier is not None:
        go_on_with(terminal, earlier)
    terminal.run()


def _chunk(chunk: Any) -> str | Path:
    if isinstance(chunk, str):
        return chunk
    return Thought(chunk["draft"]) if "draft" in chunk else Path(chunk["wait"])


if __name__ == "__main__":
    main()
