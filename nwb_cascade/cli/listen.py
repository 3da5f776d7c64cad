"""``nwb-cascade listen``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nwb_cascade.cli.command import Command
from nwb_cascade.cli.outputs import OutputFile
from nwb_cascade.cli.terminal import echo
from nwb_cascade.files.kinds import NOTHING_YET, ONLINE_STATE


@click.command("listen", cls=Command)
@click.option("--rois", "n_rois", type=click.IntRange(0), help="Values per frame at the start.")
@click.option("--rate", "imaging_rate", type=float, help="Imaging rate, Hz.")
@click.option("--indicator", help="Calcium indicator, e.g. jGCaMP8m.")
@click.option("--species", help="Latin name; zebrafish have codes of their own.")
@click.option(
    "--look-ahead",
    "look_ahead_s",
    type=click.FloatRange(0),
    default=0.1,
    show_default=True,
    help="Delay of results, s.",
)
@click.option("--kernel", type=click.Choice(["gaussian", "causal"]), default="gaussian", show_default=True)
@click.option("--smoothing", "smoothing_s", type=float, default=0.0, show_default=True, help="Width of the kernel, s.")
@click.option("--raw", is_flag=True, help="Frames are raw fluorescence (and neuropil), not dF/F.")
@click.option("--neuropil-factor", type=float, default=0.7, show_default=True, help="With --raw.")
@click.option("--model", default="online-1-120Hz", show_default=True, help="Model of architecture online.")
@click.option("--networks", "n_networks", type=click.IntRange(1), default=1, show_default=True, help="Averaged.")
@click.option("--threads", "n_threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--frames", default="tcp://127.0.0.1:5555", show_default=True, help="Where frames come in (ZeroMQ PULL).")
@click.option("--spikes", default="tcp://127.0.0.1:5556", show_default=True, help="Where results go out (ZeroMQ PUB).")
@click.option("--nwb", type=OutputFile(NOTHING_YET), help="New NWB file that grows.")
@click.option("--resume", type=click.Path(dir_okay=False, exists=True, path_type=Path), help="Go on from this state.")
@click.option("--state", type=OutputFile(ONLINE_STATE), help="Write a state to go on from at the end.")
def command(
    n_rois: int | None,
    imaging_rate: float | None,
    frames: str,
    spikes: str,
    nwb: Path | None,
    state: Path | None,
    resume: Path | None,
    **how: Any,
) -> None:
    """Infer spikes while a recording runs: frames come in and expected spikes go out by ZeroMQ.

    A frame is float32 values, one per ROI; docs/online.md describes the messages. The command ends with a message that
    says so, or with Ctrl-C.
    """
    from nwb_cascade.online.inference import OnlineInference, OnlineOptions
    from nwb_cascade.online.listen import Addresses, listen

    raw, model, n_threads = how.pop("raw"), how.pop("model"), how["n_threads"]
    told = {name: how.pop(name) for name in ("indicator", "look_ahead_s")}
    if resume is not None:
        inference = OnlineInference.resume(resume, model=model, n_threads=n_threads)
    elif n_rois is None or imaging_rate is None:
        raise click.UsageError("Expected --rois and --rate, or --resume with the state of an earlier session.")
    else:
        inference = OnlineInference(n_rois, imaging_rate, model=model, options=OnlineOptions(**how), **told)
    heard = listen(
        inference,
        Addresses(frames, spikes),
        raw=raw,
        nwb=nwb,
        state=state,
        say=lambda sentence: echo(sentence, err=True),
    )
    echo(
        f"{heard.n_frames} frames; time per frame: median {heard.median_ms:.2f} ms, "
        f"99th percentile {heard.p99_ms:.2f} ms, longest {heard.longest_ms:.2f} ms"
    )
