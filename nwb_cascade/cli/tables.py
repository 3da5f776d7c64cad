"""Tables for people on a terminal, tab-separated lines for everything else."""

from __future__ import annotations

from collections.abc import Sequence

import click


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows to stdout: a table on a terminal, otherwise one tab-separated line each, names of columns first."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        for cells in (columns, *rows):
            click.echo("\t".join(cells))
        return
    table = Table(*columns)
    for cells in rows:
        table.add_row(*map(Text, cells))
    console.print(table)
