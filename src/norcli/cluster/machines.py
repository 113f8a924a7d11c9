"""Kinds of GPU nodes as data: what a node has, and what a user's cluster wants said.

The built-in files know hardware only. Account, partition, modules and paths differ from user to
user and come from flags or from the user's own file (``--cluster``).
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

from norcli.errors import ConfigError, InputMissingError

BUILT_IN = ("a100", "h100", "idun")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A kind of node, and how jobs for it are written.

    Attributes:
        name: What it is called on the command line.
        description: One line.
        gpu: Name in ``--gres=gpu:NAME:N``; empty for ``gpu:N``.
        gpus_per_node: GPUs of a node.
        cpus_per_gpu: Cores that go with one GPU.
        memory_per_gpu_gb: Main memory that goes with one GPU, in GB; 0 to say nothing.
        account: SLURM account.
        partition: SLURM partition.
        qos: SLURM quality of service.
        constraint: Features the nodes must have.
        required: Of account and partition, those without which a job is refused there.
        modules: Environment modules to load.
        setup: Shell lines to run before, as they stand.
        environment: Variables to set.
        task_time: Time limit of one task of a data stage (``--executor slurm``).
        memory_per_cpu_gb: Main memory of such a task for each of its cores, in GB.
        max_array_size: Most tasks that the cluster takes in one array.
        hint: What to say when something required is missing.
    """

    name: str
    description: str = ""
    gpu: str = ""
    gpus_per_node: int = 4
    cpus_per_gpu: int = 8
    memory_per_gpu_gb: int = 0
    account: str = ""
    partition: str = ""
    qos: str = ""
    constraint: str = ""
    required: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    task_time: str = "24:00:00"
    memory_per_cpu_gb: int = 4
    max_array_size: int = 1000
    hint: str = ""


def find_machine(name: str, cluster_file: str | None) -> Machine:
    """Return a kind of node: a built-in one, changed by the user's file, or one of that file.

    The file's top-level keys hold for every machine, its table ``[NAME]`` for one; ``base`` in
    such a table names the built-in machine it starts from.

    Raises:
        ConfigError: No such machine, or the file has an unknown key or a value of a wrong type.
        InputMissingError: The file does not exist.
    """
    user = _read_user_file(cluster_file)
    own = user.get(name, {})
    base = own.get("base", name)
    if base in BUILT_IN:
        text = resources.files("norcli.cluster").joinpath(f"{base}.toml").read_text("utf-8")
        machine = _changed(Machine(name=name), tomllib.loads(text), f"{base}.toml")
    elif own:
        machine = Machine(name=name)
    else:
        known = [*BUILT_IN, *(key for key, value in user.items() if isinstance(value, dict))]
        known = [key for key in known if key != "environment"]
        raise ConfigError(f'unknown machine "{name}"', hint=f"known: {', '.join(known)}")
    where = cluster_file or ""
    machine = _changed(machine, _general(user), where)
    return _changed(machine, {key: v for key, v in own.items() if key != "base"}, where)


def find_data_machine(cluster_file: str | None) -> Machine:
    """Return what the user's file says of jobs without GPUs: its top level, then ``[data]``.

    Raises:
        ConfigError: The file has an unknown key or a value of a wrong type.
        InputMissingError: The file does not exist.
    """
    user = _read_user_file(cluster_file)
    where = cluster_file or ""
    machine = _changed(Machine(name="data"), _general(user), where)
    return _changed(machine, user.get("data", {}), where)


def _general(user: dict[str, Any]) -> dict[str, Any]:
    """Return the keys that hold for every machine."""
    return {
        key: value
        for key, value in user.items()
        if key == "environment" or not isinstance(value, dict)
    }


def _read_user_file(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        with Path(path).open("rb") as stream:
            return tomllib.load(stream)
    except OSError:
        raise InputMissingError("no such file", path=path) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not valid TOML: {error}", path=path) from None


def _changed(machine: Machine, table: dict[str, Any], where: str) -> Machine:
    """Return a machine with some fields replaced, their types checked."""
    known = {f.name for f in fields(Machine)} - {"name"}
    changes: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            raise ConfigError(f'unknown key "{key}"', path=where,
                              hint=f"did you mean {close[0]}?" if close else None)  # fmt: skip
        before = getattr(machine, key)
        if isinstance(before, tuple):
            fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
            value = tuple(value) if fits else value
        elif isinstance(before, dict):
            fits = isinstance(value, dict)
            value = {**before, **{k: str(v) for k, v in value.items()}} if fits else value
        else:
            fits = type(value) is type(before)
        if not fits:
            raise ConfigError(f'"{key}" has a value of the wrong kind: {value!r}', path=where)
        changes[key] = value
    return replace(machine, **changes)
