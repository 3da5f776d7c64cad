"""``nwb-cascade inspect``: what series of ROI traces a file holds, and which of them is dF/F."""

from __future__ import annotations

import json
import sys
import traceback
from typing import TYPE_CHECKING, Any

import click

from nwb_cascade.cli.command import Command
from nwb_cascade.cli.terminal import echo

if TYPE_CHECKING:
    from nwb_cascade.nwb.candidate import Candidate

FACTS = ("Kind", "ROIs", "Frames", "Hz", "Scale", "Noise", "NaN %")
WORDS = ("Series", "Plane", "Indicator", "Evidence", "Problems")


@click.command("inspect", cls=Command)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list with one object per file.")
@click.option("--series", metavar="NAME|PATH|ID", help="Show this series only.")
@click.option(
    "--no-statistics", is_flag=True, help="Read headers and a small sample only: no noise levels, no NaN shares."
)
@click.pass_context
def command(ctx: click.Context, files: tuple[str, ...], as_json: bool, series: str | None, no_statistics: bool) -> None:
    """List the series of ROI traces in recordings: what they hold, why it looks so, and what is wrong with them.

    FILE is a path (of an NWB file, or of what else 'infer' reads) or an address on DANDI
    (dandi://INSTANCE/DANDISET@VERSION/PATH, a web or API URL); a dandiset, folder or glob there means all its NWB
    files.

    Noise is the median noise level of the ROIs in % Hz^-1/2. The exit status is 1 if a file cannot be read.
    """
    found: dict[str, tuple[Candidate, ...]] = {}
    failed: dict[str, str] = {}
    names = _inspect_all(
        files, series, not no_statistics, found, failed, debug=bool(ctx.find_root().params.get("debug"))
    )
    if as_json:
        echo(json.dumps([_as_dict(name, found, failed) for name in names], indent=1))
    else:
        _print_found(found)
    sys.exit(1 if failed else 0)


def _inspect_all(
    files: tuple[str, ...],
    series: str | None,
    statistics: bool,
    found: dict[str, tuple[Candidate, ...]],
    failed: dict[str, str],
    *,
    debug: bool,
) -> list[str]:
    """Inspect one file after the other; one that fails is reported on stderr and does not stop the others.

    Returns the names of all in their order.
    """
    from nwb_cascade.cli.failures import in_one_line, of_file
    from nwb_cascade.cli.named_files import listed
    from nwb_cascade.cli.progress import progress_bar
    from nwb_cascade.cli.start import load_readers

    load_readers()
    from nwb_cascade.readers.inspecting import inspect
    from nwb_cascade.readers.sources import name_of

    names: dict[str, None] = {}
    sources = list(listed(files))
    with progress_bar("Inspecting") as progress:
        for done, (file, source) in enumerate(sources):
            progress(done, len(sources))
            name = file if isinstance(source, Exception) else name_of(source)
            names[name] = None
            try:
                if isinstance(source, Exception):
                    raise source
                found[name] = inspect(source, series=series, statistics=statistics)
            except Exception as error:  # one file must not stop the others
                if debug:
                    traceback.print_exc()
                failed[name] = in_one_line(error)
                echo(f"Error: {of_file(name, failed[name])}", err=True)
    return list(names)


def _as_dict(path: str, found: dict[str, tuple[Candidate, ...]], failed: dict[str, str]) -> dict[str, Any]:
    """Return what is known of one file, ready for JSON."""
    if path in failed:
        return {"path": path, "error": failed[path]}
    return {"path": path, "series": [candidate.to_dict() for candidate in found[path]]}


def _print_found(found: dict[str, tuple[Candidate, ...]]) -> None:
    """Print a table per file and the words below it; for pipes one line of cells per series, words included."""
    from rich.console import Console

    from nwb_cascade.cli.tables import print_table

    for path, candidates in found.items():
        if not candidates:
            echo(f"{path}: no series of ROI traces (RoiResponseSeries).", err=True)
    if not Console().is_terminal:
        rows = [(path, *_facts(c), *_words(c)) for path in found for c in found[path]]
        print_table(("File", *FACTS, *WORDS), rows)
        return
    for path, candidates in found.items():
        if candidates:
            echo(path)
            print_table(("#", *FACTS), [(str(n), *_facts(c)) for n, c in enumerate(candidates, 1)])
            for n, candidate in enumerate(candidates, 1):
                echo(_paragraph(n, candidate))


def _facts(candidate: Candidate) -> tuple[str, ...]:
    """Return the cells of a series that are short."""
    noise, nan = candidate.noise_levels, candidate.nan_fraction
    return (
        candidate.kind,
        str(candidate.n_rois),
        str(candidate.n_frames),
        ", ".join(f"{rate:.5g}" for rate in candidate.imaging_rates) or "-",
        candidate.scale,
        f"{noise.median:.2g}" if noise else "-",
        f"{100 * nan:.3g}" if nan is not None else "-",
    )


def _words(candidate: Candidate) -> tuple[str, ...]:
    """Return the cells of a series that may be long."""
    where = (candidate.object_path or "-", candidate.plane or "-", candidate.indicator or "-")
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
