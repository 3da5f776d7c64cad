"""What benchmarks and tables have in common: what work costs, here or in a process of its own, and how it is shown."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

COMMAND = "import sys; from nwb_cascade.cli import main; main(sys.argv[1:])"  # for measured_process


@dataclass(frozen=True)
class Cost:
    """Seconds of the clock and of the processor (of all threads); peak memory, MB, of a process of its own."""

    wall_s: float
    cpu_s: float
    peak_mb: float = 0.0


def measured(work: Callable[[], object]) -> Cost:
    """What a call costs in this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def measured_process(code: str, *arguments: object, status: int = 0) -> Cost:
    """What Python code costs in a new process, with its start; a RuntimeError if it ends with another status."""
    with tempfile.TemporaryFile("w+") as said:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=said
        )
        _, ended, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        if (found := os.waitstatus_to_exitcode(ended)) != status:
            said.seek(0)
            raise RuntimeError(f"Expected the exit status {status}, received {found}: {said.read()}")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def options_of(doc: str | None) -> argparse.ArgumentParser:
    """A parser of options whose help is the script's docstring."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def markdown_row(cells: Iterable[object]) -> str:
    """One line of a table of Markdown."""
    return f"| {' | '.join(map(str, cells))} |"


def markdown_head(columns: Sequence[str]) -> str:
    """The two lines that a table of Markdown begins with."""
    return f"{markdown_row(columns)}\n{markdown_row('---' for _ in columns)}"


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of Markdown."""
    return "\n".join([markdown_head(columns), *map(markdown_row, rows)]) + "\n"


def show_json(found: object, output: Path | None) -> None:
    """Print figures as JSON, and write them if asked for."""
    text = json.dumps(found, indent=1)
    print(text)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text + "\n")
