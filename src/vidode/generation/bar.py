"""How far a file has come, for someone who waits."""

from __future__ import annotations

from fractions import Fraction
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from vidode.sources import Source
from vidode.sources.video import VideoSource, opened
from vidode.timing import TimeRequest, Times


class Bar:
    """Frames made, frames a second and the time to go, on standard error; nothing where that is no terminal."""

    def __init__(
        self, source: Source, request: TimeRequest, shown: bool, name: str, console: Console | None = None
    ) -> None:
        console = console or Console(stderr=True)
        self._first: Fraction | None = None
        self._progress: Progress | None = None
        if shown and console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[frames]} frames, {task.fields[rate]:.1f} a second,"),
                TimeElapsedColumn(),
                TextColumn("to go"),
                TimeRemainingColumn(),
            )
            self._progress = Progress(*columns, console=console, transient=True, speed_estimate_period=60)
            self._end = _last_time(source, request)
            self._task = self._progress.add_task(name, total=None, frames=0, rate=0.0)

    def reached(self, time: Fraction) -> None:
        """One more frame, at a time."""
        if self._progress is None:
            return
        if self._first is None:
            self._first = time
        task = self._progress.tasks[0]
        frames = task.fields["frames"] + 1
        total = None if self._end is None else float(self._end - self._first)
        rate = frames / max(task.elapsed or 0.0, 1e-3)
        self._progress.update(self._task, completed=float(time - self._first), total=total, frames=frames, rate=rate)

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()


def _last_time(source: Source, request: TimeRequest) -> Fraction | None:
    """About when the last frame is due; None where the file does not say."""
    if isinstance(request, Times):
        return request.wanted[-1]
    known: list[Fraction] = getattr(source, "times", [])
    if known:
        return known[-1] + request.beyond
    if not isinstance(source, VideoSource):
        return None
    with opened(source.path) as container:
        start, duration = container.start_time or 0, container.duration
    return None if duration is None else Fraction(start + duration, 1_000_000) + request.beyond
