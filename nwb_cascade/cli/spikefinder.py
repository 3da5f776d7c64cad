"""``nwb-cascade spikefinder``: windows of calcium with and without a spike, supervised and unsupervised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nwb_cascade.cli.command import Group
from nwb_cascade.cli.outputs import OutputFolder
from nwb_cascade.cli.terminal import echo

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group("spikefinder", cls=Group)
def command() -> None:
    """Tell windows of calcium with a spike from those without: a classifier, an autoencoder, its latent space."""


@command.command("run")
@click.option("--out", required=True, type=OutputFolder(), help="Folder for tables, figures and the page.")
@click.option(
    "--ground-truth",
    type=click.Path(exists=True, path_type=Path),
    help="Folder with NWB files, Cascade's MATLAB files or Spikefinder's CSV pairs [default: the simulated set].",
)
@click.option("--datasets", help="Only these, e.g. DS01,DS15,DS16.")
@click.option("--window", "windows", type=int, multiple=True, help="Bins of 10 ms; repeat for several [20, 64, 200].")
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Repetitions.")
@click.option(
    "--balance",
    type=click.Choice(["pooled", "neuron"]),
    default="pooled",
    show_default=True,
    help="As many windows with a spike as without in all, or within each neuron.",
)
@click.option(
    "--clock",
    type=click.Choice(["published", "aligned"]),
    default="published",
    show_default=True,
    help="aligned: move spikes by each data set's lag of the fluorescence, measured on training neurons.",
)
@click.option(
    "--hold-out", "held_out", help="Hold out these data sets, e.g. DS16, instead of a quarter of the neurons."
)
@click.option("--training-windows", "n_training", type=click.IntRange(min=2), default=60_000, show_default=True)
@click.option("--held-out-windows", "n_held_out", type=click.IntRange(min=2), default=20_000, show_default=True)
@click.option("--epochs", type=click.IntRange(min=1), default=6, show_default=True, help="Of the classifier.")
@click.option("--autoencoder-epochs", type=click.IntRange(min=1), default=6, show_default=True)
@click.option("--tutorial-epochs", type=click.IntRange(min=0), default=60, show_default=True, help="0: leave it out.")
@click.option("--model", default="auto", show_default=True, help="Scores the same windows; 'none': leave it out.")
@click.option("--cache", type=FOLDER, help="Folder for drawn windows [default: inside --out].")
def run(
    out: Path,
    ground_truth: Path | None,
    datasets: str | None,
    windows: tuple[int, ...],
    held_out: str | None,
    tutorial_epochs: int,
    cache: Path | None,
    **options: Any,
) -> None:
    """Make all tables and figures and an HTML page from ground truth; run it again to resume."""
    from nwb_cascade.cli.progress import progress_bar
    from nwb_cascade.cli.tables import print_table
    from nwb_cascade.spikefinder.results import METHODS
    from nwb_cascade.spikefinder.run import run as run_all
    from nwb_cascade.spikefinder.settings import RunSettings

    if options["model"] == "none":
        options["model"] = ""
    settings = RunSettings(
        windows=tuple(dict.fromkeys(windows)) or (20, 64, 200),
        held_out_datasets=_names(held_out),
        tutorial_epochs=max(tutorial_epochs, 1),
        n_tutorial=1000 if tutorial_epochs else 0,
        **options,
    )
    with progress_bar("Spikefinder") as progress:
        result = run_all(
            out,
            ground_truth=ground_truth,
            datasets=_names(datasets),
            settings=settings,
            cache=cache,
            progress=progress,
            say=lambda text: echo(text, err=True),
        )
    print_table(
        ("Window", "Method", "Windows", "Accuracy", "Spread", "Repetitions"),
        [
            (
                *(str(row.size), METHODS[row.method], row.windows),
                f"{row.accuracy:.3f}",
                f"{row.spread:.3f}",
                str(row.seeds),
            )
            for row in result.summaries
        ],
    )
    echo(f"{result.page}")


@command.command("fetch")
@click.option("-o", "--output", type=OutputFolder(), default=Path("spikefinder"), show_default=True)
@click.option("--url", help="Address of spikefinder.train.zip or a copy of it [default: as published].")
def fetch(output: Path, url: str | None) -> None:
    """Download the Spikefinder training set and unpack its CSV pairs; run it again to resume."""
    from nwb_cascade.cli.progress import progress_bar
    from nwb_cascade.spikefinder.fetch import fetch_spikefinder

    with progress_bar("Downloading") as progress:
        fetched = fetch_spikefinder(output, url=url, progress=progress)
    echo(f"{fetched.status}: {fetched.folder} holds {fetched.pairs} pairs of CSV files.")


def _names(text: str | None) -> tuple[str, ...]:
    """The names of a list with commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else ()
