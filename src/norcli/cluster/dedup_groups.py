"""The stages of `dedup` in tasks: one row of them for each group of methods.

Methods that compare documents share a group, in as many rounds as there are comparisons; each
method that cuts passages is a group of its own, whose tasks read what the tasks of the group
before wrote. The stages of several groups carry the group's number, those of later rounds theirs.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from norcli.cluster.planning import in_one_process
from norcli.cluster.runs import Run, Stage
from norcli.dedup.options import PASSAGES_OF, DedupOptions
from norcli.dedup.stages import stages_of

if TYPE_CHECKING:
    from norcli.cluster.tasks import Task

SIGN, RANK, COMPARE, CLUSTERS = "sign", "rank", "compare", "clusters"
UNITS, REPEATS, CUTS = "units", "repeats", "cuts"
WRITE, FINISH = "write", "finish"


SPLITS = 16
"""Ranges of keys for each task that compares, where its memory is bounded."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Methods that run together.

    Attributes:
        number: Of the group, from 0.
        of: How many groups the run has.
        options: Of the run, with the methods of this group alone.
    """

    number: int
    of: int
    options: DedupOptions

    @property
    def is_last(self) -> bool:
        """Whether its output is the run's."""
        return self.number + 1 == self.of

    @property
    def cuts_passages(self) -> bool:
        """Whether it changes texts."""
        return self.options.method[0] in PASSAGES_OF

    @property
    def known_parts(self) -> int:
        """Parts that are earlier indexes; they come before those of the input."""
        return len(self.options.against)

    @property
    def splits(self) -> int:
        """Ranges of keys that each task compares, one after the other if need be."""
        return 1 if self.options.memory is None else SPLITS

    def name(self, kind: str, turn: int = 0) -> str:
        """Return the name of one of its stages.

        Args:
            kind: What the stage does.
            turn: The round, from 0.
        """
        numbered = kind if turn == 0 else f"{kind}-{turn + 1}"
        return numbered if self.of == 1 else f"{self.number + 1}-{numbered}"

    def stages(self, tasks: int) -> list[Stage]:
        """Return its stages, when so many tasks share the input."""
        if self.cuts_passages:
            found = [(UNITS, 0, tasks), (REPEATS, 0, tasks), (CUTS, 0, 1)]
        else:
            found = [(SIGN, 0, self.known_parts + tasks)]
            found += [(RANK, 0, 1)] if self.is_star else []
            for turn in range(len(self.options.comparisons)):
                found += [(COMPARE, turn, tasks), (CLUSTERS, turn, 1)]
        found.append((WRITE, 0, tasks))
        return [Stage(self.name(kind, turn), count) for kind, turn, count in found]

    @property
    def is_star(self) -> bool:
        """Whether near duplicates are those of the survivor only."""
        return self.options.cluster == "star" and self.options.near

    def reading(self, task: Task, part: int) -> DedupOptions:
        """Return the options to read a part of what the group reads.

        Raises:
            ResumableStopError: What the group before wrote is not whole.
        """
        options = dataclasses.replace(in_one_process(self.options), jobs=task.jobs)
        if self.number == 0:
            tasks = task.run.options["tasks"]
            return dataclasses.replace(options, shard=f"{part}/{tasks}")
        before = groups_of(DedupOptions(**task.run.options))[self.number - 1]
        path = task.run.verified_path(before.name(WRITE), part, "output")
        return dataclasses.replace(options, inputs=[str(path)], input_format="jsonl")

    def outputs(self) -> dict[str, str]:
        """Return name and path of each output; only the suffix counts before the last group."""
        named = outputs_of(self.options)
        return named if self.is_last else named | {"output": "output.jsonl"}


def groups_of(options: DedupOptions) -> list[Group]:
    """Return the groups of a run, in order."""
    stages = stages_of(options.method)
    return [
        Group(number, len(stages), dataclasses.replace(
            options, method=methods,
            output_format=options.output_format if number + 1 == len(stages) else "jsonl",
        ))
        for number, methods in enumerate(stages)
    ]  # fmt: skip


def outputs_of(options: DedupOptions) -> dict[str, str]:
    """Return name and path of each output of a run."""
    named = {"output": options.output, "rejects": options.rejects, "clusters": options.clusters}
    return {name: path for name, path in named.items() if path is not None}


def place_of(task: Task) -> tuple[Group, int]:
    """Return the group and the round that a task belongs to."""
    return locate(task.run, task.stage)


def locate(run: Run, stage: str) -> tuple[Group, int]:
    """Return the group and the round of a stage."""
    groups = groups_of(DedupOptions(**run.options))
    words = stage.split("-")
    number = int(words[0]) - 1 if words[0].isdigit() else 0
    return groups[number], int(words[-1]) - 1 if words[-1].isdigit() else 0
