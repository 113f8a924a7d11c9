"""Write golden/go.json: the exported templates rendered by Go itself. Needs go; see README.md."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from chats import CHATS, go_data

from norcli.training.conversation import NAMES, conversation

GOLDEN = Path(__file__).parent / "golden"


def render_in_go(source: str, data: object, folder: Path) -> str:
    """Let Go render a template."""
    (folder / "t.gotmpl").write_text(source, encoding="utf-8")
    command = ["go", "run", str(GOLDEN / "render.go"), str(folder / "t.gotmpl")]
    done = subprocess.run(command, input=json.dumps(data).encode(), capture_output=True, check=True)
    return done.stdout.decode()


def main() -> None:
    """Render every template with every chat."""
    version = subprocess.check_output(["go", "version"], text=True).strip()
    golden: dict[str, object] = {"made by": version}
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            source = conversation(name, "</s>").go
            assert source is not None
            golden[name] = {
                "sha256": hashlib.sha256(source.encode()).hexdigest(),
                "texts": {
                    chat: render_in_go(source, go_data(messages), Path(folder))
                    for chat, messages in CHATS.items()
                },
            }
    text = json.dumps(golden, ensure_ascii=False, indent=1) + "\n"
    (GOLDEN / "go.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
