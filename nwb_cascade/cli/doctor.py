"""``nwb-cascade doctor``: what this machine offers and lacks, as rows for people and for reports of problems."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from nwb_cascade.cli.command import Command
from nwb_cascade.cli.terminal import echo, printable


@click.command("doctor", cls=Command)
@click.option("--full", is_flag=True, help="Also start TensorFlow, infer, write a file and ask DANDI; takes some 20 s.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(full: bool, as_json: bool) -> None:
    """Look at this machine: versions, devices, models, caches, write access, and what is slow.

    A problem keeps something from working, a note is worth knowing. The output shows no keys, passwords or name of the
    home folder: it can be pasted into a report. The exit status is 1 if there is a problem.
    """
    from nwb_cascade.core.wording import counted
    from nwb_cascade.doctor.examination import examine

    rows, part = [], ""
    for row in examine(full=full):
        rows.append(row)
        if as_json:
            continue
        if row.part != part:
            part = row.part
            echo(part)
        echo(printable(f"  {row.verdict:<8}{row.name:<22} {row.value}", kept=""))
        if row.advice:
            echo(printable(f"{'':<33}-> {row.advice}", kept=""))
    n_problems, n_notes = (sum(row.verdict == verdict for row in rows) for verdict in ("problem", "note"))
    if as_json:
        echo(
            json.dumps({"problems": n_problems, "notes": n_notes, "findings": [asdict(row) for row in rows]}, indent=1)
        )
    else:
        echo(f"{counted(n_problems, 'problem')}, {counted(n_notes, 'note')}.")
    sys.exit(1 if n_problems else 0)
