"""Tables for people on a terminal, tab-separated lines for everything else."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from nwb_cascade.cli.terminal import echo, printable

LONG_CELL = 40  # characters; a column with longer ones leaves no room for the others on a terminal of 80


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows to stdout: a table on a terminal, otherwise one tab-separated line each, names of columns first.

    On a terminal the first column is never cut, and columns with long cells stand below the table, row by row.
    """
    from rich.console import Console

    console = Console()
    rows = [[printable(cell, kept="") for cell in cells] for cells in rows]
    if not console.is_terminal:
        for cells in (columns, *rows):
            echo("\t".join(cells))
        return
    long = [number for number in range(1, len(columns)) if any(len(cells[number]) > LONG_CELL for cells in rows)]
    short = [number for number in range(len(columns)) if number not in long]
    console.print(_table([columns[number] for number in short], [[cells[n] for n in short] for cells in rows]))
    for cells in rows:
        below = [f"{columns[number]}: {cells[number]}" for number in long if cells[number]]
        for line in [cells[0], *(_wrapped(text, console.width) for text in below)] if below else ():
            echo(line)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> object:
    """Return a table of rich whose first column is as wide as its cells."""
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for number, name in enumerate(columns):
        table.add_column(name, no_wrap=number == 0, overflow="fold")
    for cells in rows:
        table.add_row(*map(Text, cells))
    return table


def _wrapped(text: str, width: int) -> str:
    """Return a text in lines of a width, indented, no word broken."""
    indent = "    "
    return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=2 * indent, break_long_words=False)
