"""``norcli serve``: an OpenAI-compatible HTTP server for a GGUF file."""

from __future__ import annotations

import os

from norcli.cli.command import Command, Outcome, write_plan
from norcli.console import Console
from norcli.hosting.options import ServeOptions


def run(options: ServeOptions, console: Console) -> Outcome:
    """Check everything, then serve until Ctrl-C or SIGTERM."""
    from norcli.hosting.serve import plan_server, serve

    plan = plan_server(options, os.environ)
    shown = {
        "model": options.model, "name": plan.name, "host": options.host, "port": options.port,
        "key": bool(plan.keys), "context_tokens": plan.context, "parallel": options.parallel,
        "chat_template": options.template != "auto" or plan.description.chat_template is not None,
    }  # fmt: skip
    if options.dry_run:
        write_plan(shown, options.json)
        return Outcome(shown)
    serve(options, plan, console)
    return Outcome(shown)


COMMANDS = {
    "serve": Command(
        options=ServeOptions,
        run=run,
        description="Serves a GGUF file over HTTP as OpenAI's clients expect it: "
        "/v1/chat/completions, /v1/completions and /v1/models, streaming included, and /health. "
        "llama.cpp runs inside this process (needs xllamacpp).\n\n"
        "Only this machine can ask, unless --host names another address; then a key is asked for, "
        "from --api-key-file or the environment variable NORCLI_API_KEY. The words around a "
        "conversation are those stored in the file. Clients may name any model: there is one. "
        "Ctrl-C or SIGTERM ends it with exit status 0.",
        examples=(
            ("Serve to programs on this machine", "norcli serve model-Q4_K_M.gguf"),
            ("Serve to others, with a key, four at a time",
             "norcli serve M.gguf --host 0.0.0.0 --api-key-file keys.txt --parallel 4"),
            ("Ask it", "norcli chat http://127.0.0.1:8080/v1 --prompt 'Hva er en fjord?'"),
        ),
    )
}  # fmt: skip
