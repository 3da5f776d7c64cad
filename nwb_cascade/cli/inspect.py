"""``nwb-cascade inspect``: what series of ROI traces a file holds, and which of them is dF/F."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from nwb_cascade.nwb.candidate import Candidate

FACTS = ("Kind", "ROIs", "Frames", "Hz", "Scale", "Noise", "NaN %")
WORDS = ("Series", "Plane", "Indicator", "Evidence", "Problems")


@click.command("inspect")
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list with one object per file.")
@click.option("--series", metavar="NAME|PATH|ID", help="Show this series only.")
@click.option(
    "--no-statistics", is_flag=True, help="Read headers and a small sample only: no noise levels, no NaN shares."
)
@click.pass_context
def command(
    ctx: click.Context, paths: tuple[Path, ...], as_json: bool, series: str | None, no_statistics: bool
) -> None:
    """List the series of ROI traces in NWB files: what they hold, why it looks so, and what is wrong with them.

    Noise is the median noise level of the ROIs in % Hz^-1/2. The exit status is 1 if a file cannot be read.
    """
    found: dict[Path, tuple[Candidate, ...]] = {}
    failed: dict[Path, str] = {}
    _inspect_all(paths, series, not no_statistics, found, failed, debug=bool(ctx.find_root().params.get("debug")))
    if as_json:
        click.echo(json.dumps([_as_dict(path, found, failed) for path in dict.fromkeys(paths)], indent=1))
    else:
        _print_found(found)
    sys.exit(1 if failed else 0)


def _inspect_all(
    paths: tuple[Path, ...],
    series: str | None,
    statistics: bool,
    found: dict[Path, tuple[Candidate, ...]],
    failed: dict[Path, str],
    *,
    debug: bool,
) -> None:
    """Inspect one file after the other; a file that fails is reported on stderr and does not stop the others."""
    from nwb_cascade.cli import USER_ERRORS
    from nwb_cascade.cli.progress import progress_bar
    from nwb_cascade.nwb.choose import named
    from nwb_cascade.nwb.discover import inspect

    with progress_bar("Inspecting") as report:
        for done, path in enumerate(paths):
            report(done, len(paths))
            try:
                candidates = inspect(path, statistics=statistics)
                found[path] = candidates if series is None else (named(candidates, series),)
            except USER_ERRORS as error:
                if debug:
                    traceback.print_exc()
                failed[path] = str(error)
                click.echo(f"Error: {path}: {error}", err=True)


def _as_dict(path: Path, found: dict[Path, tuple[Candidate, ...]], failed: dict[Path, str]) -> dict[str, Any]:
    """Return what is known of one file, ready for JSON."""
    if path in failed:
        return {"path": str(path), "error": failed[path]}
    return {"path": str(path), "series": [candidate.to_dict() for candidate in found[path]]}


def _print_found(found: dict[Path, tuple[Candidate, ...]]) -> None:
    """Print a table per file and the words below it; for pipes one line of cells per series, words included."""
    from rich.console import Console

    from nwb_cascade.cli.tables import print_table

    for path, candidates in found.items():
        if not candidates:
            click.echo(f"{path}: no series of ROI traces (RoiResponseSeries).", err=True)
    if not Console().is_terminal:
        rows = [(str(path), *_facts(c), *_words(c)) for path in found for c in found[path]]
        print_table(("File", *FACTS, *WORDS), rows)
        return
    for path, candidates in found.items():
        if candidates:
            click.echo(path)
            print_table(("#", *FACTS), [(str(n), *_facts(c)) for n, c in enumerate(candidates, 1)])
            for n, candidate in enumerate(candidates, 1):
                click.echo(_paragraph(n, candidate))


def _facts(candidate: Candidate) -> tuple[str, ...]:
    """Return the cells of a series that are short."""
    noise, nan = candidate.noise_levels, candidate.nan_fraction
    return (
        candidate.kind,
        str(candidate.n_rois),
        str(candidate.n_frames),
        f"{candidate.imaging_rate:.5g}" if candidate.imaging_rate else "-",
        candidate.scale,
        f"{noise.median:.2g}" if noise else "-",
        f"{100 * nan:.3g}" if nan is not None else "-",
    )


def _words(candidate: Candidate) -> tuple[str, ...]:
    """Return the cells of a series that may be long."""
    where = (candidate.object_path, candidate.plane or "-", candidate.indicator or "-")
    return (*where, candidate.why, " ".join(candidate.problems))


def _paragraph(number: int, candidate: Candidate) -> str:
    """Return what the table has no room for."""
    path, plane, indicator, why, _ = _words(candidate)
    lines = [f"{number:>2} {path}", f"{why}; {plane}, {indicator}"]
    if candidate.noise_levels:
        noise = candidate.noise_levels
        lines.append(
            f"noise levels {noise.minimum:.2g} to {noise.maximum:.2g}, 90 % in {noise.q05:.2g} to {noise.q95:.2g}"
        )
    return "\n     ".join((*lines, *candidate.problems))
