"""``norcli quantize``: a Hugging Face model into GGUF files; ``quantize inspect`` shows one."""

from __future__ import annotations

import json

from norcli.cli.command import Command, Outcome, write_plan
from norcli.console import Console
from norcli.quantize.options import InspectOptions, QuantizeOptions
from norcli.streams import write_text


def run(options: QuantizeOptions, console: Console) -> Outcome:
    """Convert, or print the plan."""
    if options.info:
        return inspect(InspectOptions(file=options.model, json=options.json), console)
    from norcli.quantize.adapter import is_adapter

    if options.to_safetensors or is_adapter(options.model):
        return _run_other(options, console)
    if options.dry_run:
        from norcli.quantize.convert import with_importance
        from norcli.quantize.plan import lay_out, open_source
        from norcli.quantize.report import conversion_plan, plan_for_people
        from norcli.streams import check_output

        source = with_importance(open_source(options, console), options, console)
        layouts = lay_out(options, source)
        for layout in layouts:
            check_output(layout.path, options.overwrite)
        plan = conversion_plan(source, layouts)
        write_plan(plan if options.json else plan_for_people(plan), options.json)
        return Outcome(plan)
    from norcli.quantize.convert import quantize

    report = quantize(options, console)
    if options.report and not options.json and options.output != "-":
        from norcli.quantize.report_text import report_text

        write_text(report_text(report))
    if options.json and options.output != "-":
        write_text(json.dumps(report.as_dict(), ensure_ascii=False) + "\n")
    return Outcome(report.as_dict(), report.summary)


def _run_other(options: QuantizeOptions, console: Console) -> Outcome:
    """Convert an adapter, or write a GGUF file back as a model directory."""
    from dataclasses import asdict

    from norcli.quantize.adapter_file import quantize_adapter
    from norcli.quantize.safetensors_export import export_safetensors

    act = export_safetensors if options.to_safetensors else quantize_adapter
    made = act(options, console)
    if options.dry_run:
        write_plan(asdict(made), options.json)
        return Outcome(asdict(made))
    if options.json and options.output != "-":
        write_text(json.dumps(asdict(made), ensure_ascii=False) + "\n")
    return Outcome(asdict(made), made.summary)


def inspect(options: InspectOptions, console: Console) -> Outcome:
    """Show the metadata and tensors of a file."""
    from norcli.quantize.inspection import inspection, inspection_text

    found = inspection(options.file)
    if options.json:
        write_text(json.dumps(found, ensure_ascii=False) + "\n")
    else:
        write_text(inspection_text(found))
    return Outcome(found)


COMMANDS: dict[str, Command] = {
    "quantize": Command(
        options=QuantizeOptions,
        run=run,
        description="Reads a Hugging Face directory (safetensors in one file or in shards; "
        "float32, float16 or bfloat16) of GPT-2, Llama, Mistral or Mixtral and writes a GGUF file "
        "that llama.cpp, Ollama and norcli chat read. One step, without an intermediate file and "
        "without torch; the tensors are the same bytes that llama.cpp's own quantizer makes.\n\n"
        "Memory stays small whatever the model's size. The output does not depend on --jobs. Where "
        "the rows of a tensor do not fill the blocks of its type, a type with smaller blocks is "
        "taken and named.",
        examples=(
            ("Four bits, for a laptop", "norcli quantize model -o model-Q4_K_M.gguf"),
            ("Several types in one read of the weights",
             "norcli quantize model --type Q4_K_M --type Q8_0 -o 'model-{type}.gguf'"),
            ("Sizes and types, without writing", "norcli quantize model --type Q3_K_M --dry-run"),
            ("What is in a file", "norcli quantize inspect model-Q4_K_M.gguf"),
        ),
    ),
    "quantize inspect": Command(
        options=InspectOptions,
        run=inspect,
        description="Prints the metadata and the tensor table of a GGUF file, its header only.",
        examples=(
            ("Types of the tensors as JSON", "norcli quantize inspect model.gguf --json"),
        ),
    ),
}  # fmt: skip
