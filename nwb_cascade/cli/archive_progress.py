"""What `nwb-cascade archive run` shows while it works: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from nwb_cascade.cli.terminal import echo, printable
from nwb_cascade.core.wording import counted

if TYPE_CHECKING:
    from nwb_cascade.archive.job import JobOutcome
    from nwb_cascade.archive.run import Tally, TallyProgress

LINE_EVERY_S = 30.0


@contextmanager
def run_progress(client: Any) -> Iterator[TallyProgress]:
    """Say where the dashboard is, then yield what `run_manifest` reports to."""
    console = Console(stderr=True)
    echo(f"Scheduler {client.scheduler.address}; dashboard {client.dashboard_link or 'not there'}", err=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rest]}"))
    # Older releases of rich end even a bar that is disabled with an empty line.
    with Progress(*columns, console=console) if console.is_terminal else nullcontext() as bar:
        task = None if bar is None else bar.add_task("Jobs", total=None, rest="")
        last_line = time.monotonic()

        def progress(tally: Tally, outcome: JobOutcome | None) -> None:
            nonlocal last_line
            if bar is not None and task is not None:
                bar.update(task, completed=tally.settled, total=tally.total, rest=describe(tally))
            if outcome is not None and outcome.status == "failed" and outcome.is_new:
                console.print(printable(f"{outcome.job} failed: {outcome.cause}"), markup=False, highlight=False)
            if not console.is_terminal and time.monotonic() - last_line > LINE_EVERY_S:
                last_line = time.monotonic()
                echo(f"{tally.settled} of {counted(tally.total, 'job')}{describe(tally)}", err=True)

        yield progress


def describe(tally: Tally) -> str:
    """Rate, time left, workers and failures in words."""
    parts = [f"{counted(tally.workers, 'worker')}", f"{60 * tally.per_second:.3g} per minute"]
    if tally.seconds_left is not None:
        parts.append(f"about {duration(tally.seconds_left)} left")
    if tally.failed:
        parts.append(f"{tally.failed} failed")
    return ", " + ", ".join(parts)


def duration(seconds: float) -> str:
    """Return a time in the unit that people would use.

    Examples
    --------
    >>> duration(40), duration(4000), duration(1e6)
    ('40 s', '67 min', '11.6 days')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86400 else f"{seconds / 86400:.1f} days"
