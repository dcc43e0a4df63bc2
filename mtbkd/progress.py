"""Progress of long work: silent by default, a terminal bar for people."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[..., None]


class Progress:
    """Hears about stages of work and shows nothing."""

    @contextmanager
    def stage(self, name: str, total: int, done: int = 0) -> Iterator[Advance]:
        """A stage of `total` steps, `done` of them before; yields `advance(steps=1, **figures)`, figures being its
        vital numbers."""
        yield lambda steps=1, **figures: None


class TerminalProgress(Progress):
    """A bar with rate, time left and vital figures on stderr, for stages that take over `delay` seconds."""

    def __init__(self, delay: float = 1.0) -> None:
        self.delay = delay

    @contextmanager
    def stage(self, name: str, total: int, done: int = 0) -> Iterator[Advance]:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description:<24}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
        )
        bar = RichProgress(*columns, console=Console(stderr=True), auto_refresh=False, transient=False)
        task = bar.add_task(name, total=total, completed=done, figures="")
        began = shown = time.monotonic()
        pending = 0

        def advance(steps: int = 1, **figures: float) -> None:
            nonlocal shown, pending
            pending += steps
            now = time.monotonic()
            if now - shown < 0.2 or now - began < self.delay:
                return
            shown = now
            if not bar.live.is_started:
                bar.start()
            # Figures may be tensors: they are read only when shown, so that a step need not wait for them.
            text = "  ".join(f"{key} {float(value):.4g}" for key, value in figures.items())
            bar.update(task, advance=pending, figures=text, refresh=True)
            pending = 0

        try:
            yield advance
        finally:
            if bar.live.is_started:
                bar.update(task, advance=pending, refresh=True)
                bar.stop()
