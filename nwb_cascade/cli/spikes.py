"""``nwb-cascade spikes``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from nwb_cascade.cli.command import Command
from nwb_cascade.cli.outputs import OutputFile
from nwb_cascade.cli.terminal import echo
from nwb_cascade.core.spike_total import SpikeTotal
from nwb_cascade.files.kinds import SPIKES_TABLE


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", metavar="OUT", help="File or folder of the copy with spikes [default: beside FILE].")
@click.option("--in-place", is_flag=True, help="Add to FILE itself; a run that is killed leaves it as it was.")
@click.option(
    "--csv", type=OutputFile(SPIKES_TABLE), metavar="OUT", help="Write a table of the spikes instead of a copy."
)
@click.option("--events", is_flag=True, help="Spikes in NWB core's /events as well, a row each (pynwb 4).")
@click.option("--run-name", help="Name or path of the run, where FILE holds several.")
@click.option("--supported", is_flag=True, help="Only spikes that the rates support [default: as many as they sum to].")
@click.option(
    "--samples", type=click.IntRange(1, 10_000), help="Draw so many trains per ROI instead, into an .npz file."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of --samples.")
@click.option("--overwrite", is_flag=True, help="Replace spikes of this run, or a copy, that were made otherwise.")
@click.option("--threads", "n_threads", type=click.IntRange(min=1), help="[default: one per processor]")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(file: Path, csv: Path | None, events: bool, supported: bool, as_json: bool, **how: Any) -> None:
    """Find discrete spikes in the inferred rates of FILE and store them beside the rates.

    FILE is what `nwb-cascade infer` wrote. By default the result is a copy beside it: mouse_spikes.nwb gives
    mouse_spikes_discrete.nwb. With --csv a table takes its place, a line per spike, and FILE may be a matrix of rates
    as well. docs/discrete_spikes.md says when discrete spikes are not advisable.
    """
    from nwb_cascade.annotation.spike_events import annotate_events
    from nwb_cascade.annotation.spikes import annotate_spikes
    from nwb_cascade.annotation.spikes_table import export_spikes
    from nwb_cascade.cli.progress import progress_bar

    samples, seed = how.pop("samples"), how.pop("seed")
    if samples is not None:
        others = csv is not None or events or supported or how["in_place"] or as_json
        _sample(file, samples, seed, other=others, **{one: how[one] for one in ("output", "run_name", "overwrite")})
        return
    total: SpikeTotal = "supported" if supported else "conserved"
    copied = {name: how.pop(name) for name in ("output", "in_place", "overwrite")}
    if csv is not None and (events or any(copied.values())):
        raise click.UsageError("Expected --csv without -o, --in-place, --overwrite, --events: it writes a table only.")
    with progress_bar(file.name) as progress:
        if csv is not None:
            result = export_spikes(file, csv, spike_total=total, progress=progress, **how)
        else:
            result = annotate_spikes(file, spike_total=total, progress=progress, **copied, **how)
        if events:
            is_file = Path(result.output).resolve() == file.resolve()
            again = copied if is_file else {"in_place": True, "overwrite": copied["overwrite"]}
            held = annotate_events(result.output, run_name=result.run, progress=progress, **again)
            result = replace(result, output=str(held))
    echo(json.dumps(result.to_dict(), indent=1) if as_json else result.describe())


def _sample(file: Path, samples: int, seed: int, *, other: bool, **how: Any) -> None:
    """Write sampled trains."""
    from nwb_cascade.annotation.samples import write_spike_samples

    if other:
        raise click.UsageError("Expected --samples with -o, --seed, --run-name and --overwrite only: it writes a file.")
    target = write_spike_samples(file, samples, seed=seed, **how)
    echo(f"Wrote {target}: {samples} sampled trains of every ROI.")
