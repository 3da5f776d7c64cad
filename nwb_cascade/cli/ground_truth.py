"""``nwb-cascade ground-truth``: fetch, convert, list, validate, simulate and sum up ground truth."""

from __future__ import annotations

import json
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nwb_cascade.cli.command import Group
from nwb_cascade.cli.explore import command as explore
from nwb_cascade.cli.outputs import OutputFile, OutputFolder
from nwb_cascade.cli.terminal import echo
from nwb_cascade.core.wording import counted
from nwb_cascade.files.kinds import CELLS_TABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ground_truth_nwb.convert import Conversion
    from ground_truth_nwb.table import DatasetRow

COLUMNS = (
    *("Data set", "Cells", "Trials", "Minutes", "Spikes", "Imaged", "Rate (Hz)", "Noise", "Lag (ms)"),
    *("Dropped", "Unusual", "Failed"),
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
csv_option = click.option(
    "--csv", "csv_path", type=OutputFile(CELLS_TABLE), help="Write one line per cell to this file."
)
existing_folder = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group("ground-truth", cls=Group)
def command() -> None:
    """Fetch, convert, list, validate, simulate and sum up ground truth: imaging and spikes of the same cells."""


command.add_command(explore)


@command.command("fetch")
@click.argument("datasets", nargs=-1, required=True, metavar="DATASET...")
@click.option("-o", "--output", type=OutputFolder(), default=Path("ground-truth"), show_default=True)
@click.option("--max-gb", default=2.0, show_default=True, help="Refuse to download more than this.")
def fetch(datasets: tuple[str, ...], output: Path, max_gb: float) -> None:
    """Download published data sets (identifiers of `ground-truth list`); run it again to resume."""
    from ground_truth_nwb.fetch import fetch as fetch_datasets
    from nwb_cascade.cli.progress import progress_bar
    from nwb_cascade.files.download import download, read_text

    with progress_bar("Downloading") as progress:
        results = fetch_datasets(
            datasets, output, download=download, read_text=read_text, max_gigabytes=max_gb, progress=progress
        )
    for result in results:
        if result.error:
            echo(f"FAILED  {result.path}: {result.error}", err=True)
    counts = {status: sum(one.status == status for one in results) for status in ("fetched", "present", "failed")}
    echo(f"{counted(counts['fetched'], 'file')} downloaded to {output}, {counts['present']} were there already.")
    if counts["failed"]:
        raise SystemExit(1)


@command.command("convert")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.argument("target", type=OutputFolder())
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Number of processes.")
@csv_option
@as_json
def convert(source: Path, target: Path, workers: int, csv_path: Path | None, as_json: bool) -> None:
    """Convert ground truth below SOURCE (Cascade's .mat, Spikefinder's .csv, .nwb) to a dandiset in TARGET.

    Run it again to go on after an interruption: cells that are there are kept. Exit status 1 if a source
    failed.
    """
    from ground_truth_nwb.convert import convert as convert_folder
    from nwb_cascade.cli.progress import progress_bar

    with progress_bar("Converting") as progress:
        outcomes = convert_folder(source, target, workers=workers, progress=progress)
    _print_outcomes(outcomes, csv_path, as_json)
    for outcome in outcomes:
        if outcome.error:
            echo(f"FAILED  {outcome.source}: {outcome.error}", err=True)
    if any(outcome.error for outcome in outcomes):
        raise SystemExit(1)


@command.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List the published data sets of the catalogue."""
    from dataclasses import asdict

    from ground_truth_nwb.catalogue import load_catalogue
    from nwb_cascade.cli.tables import print_table

    datasets = load_catalogue().datasets
    if as_json:
        echo(json.dumps([asdict(dataset) for dataset in datasets], indent=1))
        return
    rows = [
        (
            dataset.id,
            dataset.indicator,
            dataset.species or "",
            ", ".join(filter(None, (dataset.region, dataset.cell_type))),
            str(dataset.n_cells or ""),
            dataset.cells_group,
            ", ".join(dataset.references),
        )
        for dataset in datasets
    ]
    print_table(("Data set", "Indicator", "Species", "Cells in", "Cells", "Group", "Cite (DOI)"), rows)


@command.command("validate")
@click.argument("folder", type=existing_folder)
@as_json
def validate(folder: Path, as_json: bool) -> None:
    """Check a converted folder as DANDI does before an upload; exit status 1 if it would be refused."""
    from dataclasses import asdict

    from ground_truth_nwb.validate import validate_dandiset
    from nwb_cascade.cli.progress import progress_bar

    with progress_bar("Validating") as progress:
        findings = validate_dandiset(folder, progress=progress)
    if as_json:
        echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for finding in findings:
            echo(f"{finding.severity}  {finding.rule}  {finding.path}: {finding.message}")
        blocking = sum(finding.blocks_upload for finding in findings)
        echo(f"{counted(blocking, 'finding')} would stop an upload of {folder}, {len(findings) - blocking} are advice.")
    if any(finding.blocks_upload for finding in findings):
        raise SystemExit(1)


@command.command("simulate")
@click.argument("target", type=OutputFolder())
@click.option("--cells", type=click.IntRange(min=1), default=3, show_default=True, help="Number of cells.")
@click.option("--indicator", default="GCaMP6f", show_default=True, help="Calcium indicator.")
@click.option("--imaging-rate", default=30.0, show_default=True, help="Frames per second.")
@click.option("--duration", "duration_s", default=120.0, show_default=True, help="Seconds per trial.")
@click.option("--firing-rate", "firing_rate_hz", default=1.0, show_default=True, help="Spikes per second.")
@click.option("--noise", "noise_level", default=2.0, show_default=True, help="Noise level, % Hz^-1/2.")
@click.option("--trials", "n_trials", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--jitter", "frame_jitter_s", default=0.0, show_default=True, help="Jitter of frame times, s.")
@click.option("--seed", default=0, show_default=True)
def simulate(target: Path, cells: int, indicator: str, seed: int, **options: Any) -> None:
    """Simulate cells with known spikes and write them to a dandiset in TARGET."""
    import numpy as np

    from ground_truth_nwb.simulate import simulate_cell
    from ground_truth_nwb.write import write_cell, write_dandiset_file
    from nwb_cascade.cli.progress import progress_bar

    write_dandiset_file(target, name="Simulated ground truth", description=f"Simulated {indicator} cells, seed {seed}.")
    rng = np.random.default_rng(seed)
    with progress_bar("Simulating") as progress:
        for number in range(1, cells + 1):
            cell = simulate_cell(rng, indicator=indicator, cell_id=f"{indicator}-{seed}-{number}", **options)
            echo(str(write_cell(cell, target)))
            progress(number, cells)


@command.command("summary")
@click.argument("folder", type=existing_folder)
@csv_option
@as_json
def summary(folder: Path, csv_path: Path | None, as_json: bool) -> None:
    """Sum a converted folder up: cells, trials, minutes, spikes, noise, what was dropped and what is unusual."""
    from ground_truth_nwb.convert import read_outcomes

    _print_outcomes(read_outcomes(folder), csv_path, as_json)


def _print_outcomes(outcomes: Sequence[Conversion], csv_path: Path | None, as_json: bool) -> None:
    """Print a row per data set and write a CSV line per cell."""
    from ground_truth_nwb.cell_summary import without_nan
    from ground_truth_nwb.table import dataset_rows, totals, write_csv
    from nwb_cascade.cli.tables import print_table

    rows = dataset_rows(outcomes)
    if csv_path is not None:
        write_csv(outcomes, csv_path)
    if as_json:
        echo(json.dumps([without_nan(vars(row)) for row in rows], indent=1))
    else:
        print_table(COLUMNS, [_cells(row) for row in (*rows, totals(rows))])


def _cells(row: DatasetRow) -> tuple[str, ...]:
    """Spell a row out."""
    return (
        row.dataset,
        str(row.cells),
        str(row.trials),
        f"{row.minutes:.1f}",
        str(row.spikes),
        str(row.spikes_imaged),
        _spell(row.imaging_rate_hz, 1),
        _spell(row.noise_level, 2),
        _spell(1000 * row.response_lag_s, 0),
        row.dropped,
        row.unusual,
        str(row.failed or ""),
    )


def _spell(number: float, decimals: int) -> str:
    """Return a number with so many decimals, nothing for NaN."""
    return "" if isnan(number) else f"{number:.{decimals}f}"
