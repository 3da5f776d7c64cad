"""``nwb-cascade report``."""

from __future__ import annotations

from pathlib import Path

import click

from nwb_cascade.cli.command import Command
from nwb_cascade.cli.outputs import OutputFile
from nwb_cascade.cli.terminal import echo
from nwb_cascade.files.kinds import PAGE


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=OutputFile(PAGE), default=Path("report.html"), show_default=True)
@click.option("--run-name", help="Name or path of the run, where FILE holds several.")
@click.option(
    "--ground-truth",
    type=click.Path(path_type=Path),
    help="Folder of ground truth as NWB for the examples [default: simulated].",
)
@click.option("--detail", metavar="ROI", type=int, multiple=True, help="Id of an ROI to store in full; repeatable.")
def command(file: Path, output: Path, run_name: str | None, ground_truth: Path | None, detail: tuple[int, ...]) -> None:
    """Write one HTML page about the inferred spikes in FILE; it opens without a network.

    It shows what was run on what, noise levels, warnings, the population, ground truth at the same quality, and every
    ROI. It stays below 15 MB; what it leaves out it says.
    """
    from nwb_cascade.cli.progress import progress_bar
    from nwb_cascade.report import write_report

    with progress_bar("Reading traces") as progress:
        page = write_report(
            file, output, run_name=run_name, ground_truth=ground_truth, detail=detail, progress=progress
        )
    echo(f"Wrote {page} ({page.stat().st_size / 1e6:.1f} MB): open it in a browser.")
