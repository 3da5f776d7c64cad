"""Arguments and options that several commands of ``nwb-cascade archive`` take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nwb_cascade.cli.outputs import OutputFolder

manifest_argument = click.argument("manifest", type=click.Path(path_type=Path))
out_option = click.option("--out", required=True, type=OutputFolder(), help="Folder of the results.")
api_calls_option = click.option(
    "--api-calls",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Most requests to DANDI's API at once.",
)
cache_options = [
    click.option("--cache", "cache_dir", type=click.Path(file_okay=False), help="Folder for bytes of remote files."),
    click.option("--cache-size", metavar="GB", type=click.FloatRange(min=0), help="Most that it may hold."),
]


def with_cache_options(function: Any) -> Any:
    """Add the options of the cache for remote files."""
    for option in cache_options:
        function = option(function)
    return function
