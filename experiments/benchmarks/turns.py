"""Timing by turns: ours, peer, ours, peer, ..., so that a busy minute of the machine falls on all alike.

A turn lasts a fixed time; its steps are counted beforehand. Ratios are of turns that follow each other, and are told by
their median and range.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from mtbkd.progress import Advance, Progress
from mtbkd.threads import threads_within

Times = dict[str, list[float]]


@dataclass(frozen=True)
class Contender:
    """Something to be timed.

    run: does `n` steps and waits until they are done, the first call may compile; returns their seconds where it
        keeps its own clock, else None
    threads: torch's while it runs, None: as many as the process has
    """

    name: str
    run: Callable[[int], float | None]
    threads: int | None = None

    def seconds(self, steps: int) -> float:
        """Seconds of so many steps."""
        with threads_within(self.threads or torch.get_num_threads()):
            began = time.perf_counter()
            own = self.run(steps)
            return time.perf_counter() - began if own is None else own


@dataclass(frozen=True)
class Ratio:
    """Ratio of two, turn by turn: its median, smallest and largest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, above: Sequence[float], below: Sequence[float]) -> "Ratio":
        """Of values that belong together, pair by pair."""
        found = [a / b for a, b in zip(above, below, strict=True)]
        return cls(statistics.median(found), min(found), max(found))


def steps_a_turn(contender: Contender, seconds: float) -> int:
    """Steps that take about `seconds`; runs it, and so compiles what is to be compiled."""
    contender.seconds(1)
    steps = 1
    while (taken := contender.seconds(steps)) < seconds / 4:
        steps = max(2 * steps, int(steps * seconds / 4 / max(taken, 1e-6)))
    return max(1, round(steps * seconds / taken))


def take_turns(contenders: Sequence[Contender], repeats: int, seconds: float) -> Times:
    """Seconds a step of each contender in each of `repeats` rounds; each round begins with another one."""
    steps = {c.name: steps_a_turn(c, seconds) for c in contenders}
    times: Times = {c.name: [] for c in contenders}
    gc.collect()
    gc.disable()
    try:
        for turn in range(repeats):
            first = turn % len(contenders)
            for c in (*contenders[first:], *contenders[:first]):
                times[c.name].append(c.seconds(steps[c.name]) / steps[c.name])
    finally:
        gc.enable()
    return times


def on_quickest_threads(contender: Contender, seconds: float = 0.2) -> Contender:
    """The same on one thread or on all of the process's, whichever is faster: what a careful user would choose."""
    choices = sorted({1, torch.get_num_threads()})
    if len(choices) == 1:
        return replace(contender, threads=1)
    candidates = [replace(contender, threads=n, name=str(n)) for n in choices]
    times = take_turns(candidates, 3, seconds)
    best = min(candidates, key=lambda c: statistics.median(times[c.name]))
    return replace(contender, threads=best.threads)


class StepClock(Progress):
    """Hears an engine's steps and times them, the first tenth left out: what is set up and compiled before the first
    step, and what is done after the last, is not a step's."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0
        self.before = self.counted = 0

    @contextmanager
    def stage(self, name: str, total: int, done: int = 0) -> Iterator[Advance]:
        """One stage; the last one that an engine announces is kept."""
        self.before = self.counted = 0

        def advance(steps: int = 1, **figures: float) -> None:
            if self.before <= total / 10:
                self.before += steps
                self.began = time.perf_counter()
                return
            self.counted += steps
            self.ended = time.perf_counter()

        yield advance

    @property
    def seconds_a_step(self) -> float:
        """Of the steps that were timed."""
        return (self.ended - self.began) / max(1, self.counted)


def finished(device: torch.device) -> None:
    """Wait for a GPU's queue; a CPU has none."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
