"""``nwb-cascade demo``."""

from __future__ import annotations

from pathlib import Path

import click

from nwb_cascade.cli.command import Command
from nwb_cascade.cli.outputs import OutputFolder
from nwb_cascade.cli.terminal import echo
from nwb_cascade.core.wording import proposed


@click.command(cls=Command)
@click.option(
    "-o",
    "--output",
    type=OutputFolder(),
    default=Path("nwb-cascade-demo"),
    show_default=True,
    help="Folder for the simulated recording and its annotated copy.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the simulation.")
@click.option("--report", is_flag=True, help="Add discrete spikes and write a page about all of it (needs plotly).")
@click.option(
    "--online", is_flag=True, help="Replay a recording in real time instead, and tell how late spikes are told."
)
def command(output: Path, seed: int, report: bool, online: bool) -> None:
    """Simulate a population, write it as NWB, annotate it and say what was done."""
    from nwb_cascade.cli.progress import progress_bar

    if online:
        if report:
            raise click.UsageError("Expected --online without --report: a replay writes no file.")
        _replay(seed)
        return
    from nwb_cascade.demo import DURATION_S, IMAGING_RATE, INDICATOR, N_ROIS, run_demo

    with progress_bar("Inferring") as progress:
        demo = run_demo(output, seed=seed, report=report, progress=progress)
    annotation = demo.annotation
    echo(f"Simulated {N_ROIS} neurons ({INDICATOR}, {IMAGING_RATE:g} Hz, {DURATION_S:g} s) in {demo.recording}")
    echo(f"Model: {annotation.reason}")
    echo(f"Wrote {annotation.run_name} to {annotation.output}")
    echo(
        f"Spikes: {demo.n_true_spikes} simulated, {demo.n_expected_spikes:.0f} expected; "
        f"median correlation of the rates {demo.correlation:.2f}"
    )
    if demo.discrete is not None:
        echo(
            f"Discrete spikes: {demo.discrete.n_spikes}, median F1 {demo.f1:.2f} for spikes at most a frame "
            f"({1000 / IMAGING_RATE:.0f} ms) apart"
        )
    if demo.report is not None:
        echo(f"Wrote {demo.report}: open it in a browser.")
    echo(f"Look at it: {proposed('inspect', annotation.output)}")


def _replay(seed: int) -> None:
    """Infer the frames of a simulated recording as they come."""
    from nwb_cascade.cli.progress import progress_bar
    from nwb_cascade.online.replay import IMAGING_RATE, INDICATOR, N_ROIS, replay

    with progress_bar("Replaying") as progress:
        found = replay(seed=seed, progress=progress)
    echo(f"Replayed {found.n_frames} frames of {N_ROIS} simulated neurons ({INDICATOR}) at {IMAGING_RATE:g} Hz")
    echo(
        f"Delay: {found.look_ahead_ms:.0f} ms of look-ahead and {found.median_ms:.1f} ms of computing (99th percentile "
        f"{found.p99_ms:.1f} ms); the latest result came {found.latest_ms:.1f} ms after its frame was due"
    )
    echo(
        f"Spikes: {found.n_true_spikes} simulated, {found.n_expected_spikes:.0f} expected; "
        f"median correlation of the rates {found.correlation:.2f}"
    )
