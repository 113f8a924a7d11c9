"""Run a bash command with $URL, a server that answers with what it was asked.

The messages come back one a line, then the settings that $ECHO names; a request that says
"tenk" gets a draft first. Tokens are counted in words. With $KEY that key is asked for, $MODELS
names the models.
"""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from typing import Any


class Echo(http.server.BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        names = os.environ.get("MODELS", "ekko").split()
        self.answer(json.dumps({"data": [{"id": name} for name in names]}))

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = said_in(request)
        if len(said.split()) > 12:
            error = {"message": "too many words", "type": "exceed_context_size_error"}
            self.answer(json.dumps({"error": error}), 400)
            return
        shown = [f"{name} {request.get(name)}" for name in os.environ.get("ECHO", "").split()]
        text = "\n".join([said, *shown])
        events: list[dict[str, Any]] = []
        if "tenk" in said:
            events.append({"choices": [{"delta": {"reasoning_content": "Hm."}}]})
        events += [
            {"choices": [{"delta": {"content": text[at : at + 3]}, "text": text[at : at + 3]}]}
            for at in range(0, len(text), 3)
        ]
        events.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        usage = {"prompt_tokens": len(said.split()), "completion_tokens": len(text.split())}
        events.append({"choices": [], "usage": usage})
        self.answer("".join(f"data: {json.dumps(e)}\n\n" for e in events) + "data: [DONE]\n\n")

    def answer(self, body: str, status: int = 200) -> None:
        key = os.environ.get("KEY")
        if key and self.headers["Authorization"] != f"Bearer {key}":
            body, status = "{}", 401
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())


def said_in(request: dict[str, Any]) -> str:
    if "prompt" in request:
        return f"text: {request['prompt']}"
    return "\n".join(f"{m['role']}: {m['content']}" for m in request["messages"])


def main() -> int:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = os.environ | {"URL": f"http://127.0.0.1:{server.server_port}/v1"}
    return subprocess.run(["bash", "-c", sys.argv[1]], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
