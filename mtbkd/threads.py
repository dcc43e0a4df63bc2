"""How many threads torch takes: parallel runs share the cores, or each slows all others down."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


def set_threads(threads: str, parallel: int) -> None:
    """Set torch's threads, before its first operation.

    threads: a number, or 'auto': what OMP_NUM_THREADS says, else the cores shared among `parallel` runs
    """
    import torch

    if threads != "auto":
        torch.set_num_threads(int(threads))
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, available_cores() // parallel))


@contextmanager
def threads_within(number: int) -> Iterator[None]:
    """Torch takes this many threads within, and as many as before afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def available_cores() -> int:
    """Cores that this process may use: of its machine, and of its Slurm job."""
    machine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(machine, int(os.environ.get("SLURM_CPUS_PER_TASK", machine)))
