"""``norcli export``: files with which Ollama, vLLM or LM Studio serve a model."""

from __future__ import annotations

from norcli.cli.command import Command, Outcome, write_plan
from norcli.console import Console
from norcli.hosting.options import ExportOptions


def run(options: ExportOptions, console: Console) -> Outcome:
    """Write the folder, or print what it would hold."""
    from norcli.hosting.export import plan_export, write_export

    export = plan_export(options)
    plan = {
        "folder": str(export.folder), "files": sorted([*export.files, *export.links]),
        "then": export.advice,
    }  # fmt: skip
    if options.dry_run:
        write_plan(plan, options.json)
        return Outcome(plan)
    write_export(export, options.overwrite)
    if options.json:
        write_plan(plan, True)
    return Outcome(plan, f"{', '.join(plan['files'])} in {export.folder}; then: {export.advice}")


COMMANDS = {
    "export": Command(
        options=ExportOptions,
        run=run,
        description="Writes what another program needs to serve a model; the weights stay where "
        "they are. ollama: a Modelfile with the conversation as a Go template, stops and context. "
        "vllm: a script, a systemd unit and a SLURM job that point at the Hugging Face directory, "
        "with as many GPUs as weights and context need. lmstudio: a folder to copy into "
        "~/.lmstudio.\n\n"
        "None of these programs is run here; what the files hold is checked by their own rules.",
        examples=(
            ("A Modelfile for Ollama", "norcli export model-Q4_K_M.gguf --for ollama"),
            ("vLLM on H100s", "norcli export model --for vllm --gpu h100 -o vllm"),
            ("LM Studio", "norcli export model-Q4_K_M.gguf --for lmstudio -o lmstudio"),
        ),
    )
}  # fmt: skip
