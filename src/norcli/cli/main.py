"""The way into norcli: find the command, build its options, run it, turn errors into exit codes.

The only place that reads the environment, exits, or writes tracebacks. Heavy modules are imported
by the command that needs them, after its options are known to be right.
"""

from __future__ import annotations

import difflib
import errno
import gc
import json
import os
import resource
import signal
import sys
import time
import traceback
from typing import Any

from norcli import __version__, streams
from norcli.cli.command import Outcome
from norcli.cli.registry import REGISTRY, load, top_level
from norcli.console import Console
from norcli.errors import ExitCode, NorcliError, ResumableStopError, UsageError, missing_extra
from norcli.options import GeneralOptions, option_fields, options_as_toml

EXTRA_OF_PACKAGE = {
    "torch": "train", "transformers": "train", "peft": "train", "deepspeed": "deepspeed",
    "flash_attn": "flash", "liger_kernel": "gpu", "datatrove": "cluster", "xllamacpp": "chat",
    "prompt_toolkit": "chat", "trl": "align", "matplotlib": "plot",
}  # fmt: skip

COLLECT_AFTER_OBJECTS = 50_000
"""New objects between two searches for garbage: imports make very many and hardly any garbage."""

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)

_started = time.monotonic()


def main(arguments: list[str] | None = None) -> int:
    """Run norcli.

    Args:
        arguments: Words after the program name; those of the process by default.

    Returns:
        The exit status, a value of `ExitCode`.
    """
    words = sys.argv[1:] if arguments is None else arguments
    console = Console()
    gc.set_threshold(COLLECT_AFTER_OBJECTS, *gc.get_threshold()[1:])
    debug = "--debug" in words or os.environ.get("NORCLI_DEBUG") == "1"
    try:
        streams.install_signal_handlers()
        streams.claim_stdout()
        code = _dispatch(words, console)
        streams.stdout_binary().flush()
    except BaseException as error:
        code = _exit_code(error, console, debug)
    if arguments is None:
        gc.freeze()  # the process ends: what is left goes with it, unsearched
    return _close_stdout(code)


def _dispatch(words: list[str], console: Console) -> int:
    from norcli.cli.help import command_help, overview

    if not words:
        sys.stderr.write(overview())
        return ExitCode.USAGE
    if words[0] in ("-h", "--help"):
        streams.write_text(overview())
        return ExitCode.OK
    if words[0] == "--version":
        streams.write_text(f"norcli {__version__}\n")
        return ExitCode.OK
    name, rest = _find_command(words)
    console.program = f"norcli {name}"
    command = load(name)
    before_dashes = rest[: rest.index("--")] if "--" in rest else rest
    if "-h" in before_dashes or "--help" in before_dashes:
        streams.write_text(command_help(name, command))
        return ExitCode.OK
    return _run(name, rest, console)


def _find_command(words: list[str]) -> tuple[str, list[str]]:
    """Return the command the words begin with, a subcommand before a command, and the rest."""
    if len(words) > 1 and f"{words[0]} {words[1]}" in REGISTRY:
        return f"{words[0]} {words[1]}", words[2:]
    if words[0] in REGISTRY:
        return words[0], words[1:]
    close = difflib.get_close_matches(words[0], top_level(), n=1)
    hint = f"did you mean {close[0]}?" if close else "norcli --help lists the commands"
    raise UsageError(f'no command "{words[0]}"', hint=hint)


def _run(name: str, words: list[str], console: Console) -> int:
    from norcli.cli.arguments import parse_arguments
    from norcli.cli.configuration import merge_options

    command = load(name)
    fields = option_fields(command.options)
    given = parse_arguments(name, fields, words)
    options = merge_options(name, command.options, fields, given, os.environ)
    _configure(console, options)
    if options.print_config:
        streams.write_text(options_as_toml(name, options))
        return ExitCode.OK
    if _lacks_input(options):
        from norcli.cli.help import synopsis

        console.error(f"no input; usage: {synopsis(name, fields)}", f"see norcli {name} --help")
        return ExitCode.USAGE
    _check_stats(options)
    outcome = command.run(options, console)
    _finish(outcome, options, console)
    return outcome.exit_code


def _check_stats(options: Any) -> None:
    """Check that the counts can be written once the work is done, and will replace no output."""
    if options.stats:
        streams.check_output(options.stats, overwrite=True)
        named = {name: getattr(options, name, None) for name in ("output", "rejects")}
        outputs = {name: path for name, path in named.items() if isinstance(path, str)}
        streams.check_distinct(**outputs, stats=options.stats)


def _lacks_input(options: Any) -> bool:
    """Whether a command that reads standard input was called on a terminal without any."""
    reads = hasattr(options, "inputs") and hasattr(options, "text_key")
    named = reads and (options.inputs or options.files_from)
    return reads and not named and sys.stdin is not None and sys.stdin.isatty()


def _configure(console: Console, options: GeneralOptions) -> None:
    """Set the console and the number of threads from the options, before any heavy import."""
    console.level = 0 if options.quiet else 1 + min(options.verbose, 2)
    console.color = options.color
    console.log_format = options.log_format
    console.shows_progress = options.progress and not options.quiet
    console.interval_seconds = float(os.environ.get("NORCLI_PROGRESS_SECONDS", "60"))
    if options.jobs is None:
        jobs = os.environ.get("SLURM_CPUS_PER_TASK", "1")
        options.jobs = int(jobs) if jobs.isdigit() and int(jobs) > 0 else 1
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(variable, str(options.jobs))
    # Threads that wait must sleep, not spin: on a shared node spinning costs many times its worth.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def _finish(outcome: Outcome, options: GeneralOptions, console: Console) -> None:
    if options.stats:
        with streams.atomic_file(options.stats, overwrite=True) as stream:
            text = json.dumps({**outcome.stats, **_usage()}, ensure_ascii=False, indent=1)
            stream.write(text.encode("utf-8") + b"\n")
    streams.stdout_binary().flush()
    if outcome.summary:
        console.say(outcome.summary)


def _usage() -> dict[str, float]:
    """Return what the run took, its child processes included: seconds and bytes of memory."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return {
        "wall_seconds": round(time.monotonic() - _started, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_memory_bytes": max(own.ru_maxrss, children.ru_maxrss) * 1024,
    }


def _exit_code(error: BaseException, console: Console, debug: bool) -> int:
    """Tell the user what went wrong, and return the exit status that says the same."""
    if debug and not isinstance(error, (BrokenPipeError, SystemExit)):
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, BrokenPipeError):
        return ExitCode.SIGPIPE
    if isinstance(error, (streams.Interruption, KeyboardInterrupt)):
        signum = error.signum if isinstance(error, streams.Interruption) else signal.SIGINT
        console.error(f"stopped by {signal.Signals(signum).name}")
        return 128 + signum
    if isinstance(error, ModuleNotFoundError) and (error.name or "") in EXTRA_OF_PACKAGE:
        error = missing_extra(error.name or "", EXTRA_OF_PACKAGE[error.name or ""])
    if isinstance(error, NorcliError):
        console.error(str(error), error.hint)
        if isinstance(error, ResumableStopError) and streams.last_signal() == signal.SIGINT:
            return ExitCode.SIGINT
        return error.code
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        console.error(f"{os.strerror(error.errno or 0).lower()}")
        return ExitCode.IO
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else ExitCode.FAILED
    text = str(error).partition("\n")[0] or type(error).__name__
    console.error(
        f"internal error: {type(error).__name__}: {text} (this is a bug)",
        None if debug else "rerun with --debug and report the traceback",
    )
    return ExitCode.BUG


def _close_stdout(code: int) -> int:
    """Flush what is left; a reader that has gone must not lead to noise at exit."""
    try:
        streams.stdout_binary().flush()
    except (BrokenPipeError, ValueError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, streams.stdout_binary().fileno())
        return ExitCode.SIGPIPE if code == ExitCode.OK else code
    except OSError as error:
        Console().error(f"cannot write standard output: {os.strerror(error.errno or 0).lower()}")
        return ExitCode.IO
    return code
