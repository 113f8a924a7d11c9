"""Which process of a parallel run this is, from the variables SLURM or torchrun set.

The command line hands in the environment; training code gets a `Placement`. Standard library
only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from norcli.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Placement:
    """One process among those of a run.

    Attributes:
        rank: Number of this process over all nodes, 0 first.
        world_size: How many there are.
        local_rank: Number within its node; also that of its GPU.
        master_address: Host of rank 0.
        master_port: Port on which rank 0 listens.
        deadline: Seconds since the epoch at which the job is ended; None for no limit.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    master_address: str = "127.0.0.1"
    master_port: int = 29500
    deadline: float | None = None

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files and speaks to the user."""
        return self.rank == 0


# The names torchrun sets, then those of srun.
_NAMES = {
    "rank": ("RANK", "SLURM_PROCID"),
    "world_size": ("WORLD_SIZE", "SLURM_NTASKS"),
    "local_rank": ("LOCAL_RANK", "SLURM_LOCALID"),
}


def find_placement(environment: Mapping[str, str]) -> Placement:
    """Read a placement from environment variables.

    torchrun's names go before SLURM's. SLURM's count only with ``MASTER_ADDR``, which the scripts
    of ``norcli launch`` set: within an interactive allocation a plain ``norcli pretrain`` is one
    process, whatever the number of tasks.

    Raises:
        ConfigError: A variable is no number, or the numbers do not fit together.
    """
    deadline_text = environment.get("SLURM_JOB_END_TIME", "")
    deadline = float(deadline_text) if deadline_text.isdigit() else None
    if "MASTER_ADDR" not in environment:
        return Placement(deadline=deadline)
    names = 0 if "RANK" in environment else 1
    found = {}
    for key, pair in _NAMES.items():
        text = environment.get(pair[names], "1" if key == "world_size" else "0")
        if not text.isdigit():
            raise ConfigError(f'{pair[names]}: "{text}" is not a whole number')
        found[key] = int(text)
    if found["rank"] >= found["world_size"]:
        raise ConfigError(f"rank {found['rank']} of {found['world_size']} processes")
    port = environment.get("MASTER_PORT", "29500")
    if not port.isdigit():
        raise ConfigError(f'MASTER_PORT: "{port}" is not a whole number')
    return Placement(
        **found, master_address=environment["MASTER_ADDR"], master_port=int(port),
        deadline=deadline,
    )  # fmt: skip
