"""``nwb-cascade calibrate``: the gain of a preparation, found once for a lab."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nwb_cascade.cli.command import Command
from nwb_cascade.cli.outputs import OutputFile
from nwb_cascade.cli.terminal import echo
from nwb_cascade.files.kinds import CALIBRATION

if TYPE_CHECKING:
    from nwb_cascade.core.calibration import Calibration


@click.command("calibrate", cls=Command)
@click.argument("sources", metavar="[SOURCE...]", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", required=True, type=OutputFile(CALIBRATION), help="The calibration (JSON).")
@click.option("--model", default="conditional-1-120Hz", show_default=True, metavar="NAME|DIR", help="The model.")
@click.option("--indicator", help="Calcium indicator [default: as the labelled cells state].")
@click.option("--species", help="Latin name of the species [default: as the labelled cells state].")
@click.option("--mean-rate", type=float, metavar="HZ", help="Known mean rate of such cells, spikes/s.")
@click.option(
    "--spike-dff", type=float, metavar="DFF", help="Known peak dF/F after one spike (0.1 is 10 %); no SOURCE."
)
@click.option(
    "--uncertainty", type=float, default=0.2, show_default=True, help="Of what is known: one SD as a share of it."
)
@click.option("--run-name", help="Name or path of the run, where SOURCE holds several.")
def command(
    sources: tuple[Path, ...], output: Path, model: str, indicator: str | None, species: str | None, **known: Any
) -> None:
    """Find how many spikes a preparation fires for each one that is found.

    SOURCE is a folder of labelled cells of the preparation (ground truth as NWB, or what 'ground-truth convert' reads);
    with --mean-rate, files with rates that were inferred for it; with --spike-dff and --indicator there is none. Use
    the result with 'infer --calibrate'.
    """
    by_response = known["spike_dff"] is not None
    if bool(sources) == by_response or (by_response and (known["mean_rate"] is not None or not indicator)):
        raise click.UsageError(
            "Expected labelled cells as SOURCE, results as SOURCE with --mean-rate, or --spike-dff with --indicator "
            "alone."
        )
    found = _calibration(sources, model, indicator, species, **known)
    output.write_text(found.to_json(), encoding="utf-8")
    low, high = (found.gain * factor for factor in (2.718281828**-found.gain_sd, 2.718281828**found.gain_sd))
    echo(f"Wrote {output}: gain {found.gain:.3g} ({low:.3g} to {high:.3g}, one SD) from {found.source}.")


def _calibration(
    sources: tuple[Path, ...],
    model: str,
    indicator: str | None,
    species: str | None,
    *,
    mean_rate: float | None,
    spike_dff: float | None,
    uncertainty: float,
    run_name: str | None,
) -> Calibration:
    """The calibration from what is known."""
    from nwb_cascade.evaluation.labelled import (
        calibration_from_cells,
        calibration_from_mean_rate,
        calibration_from_response,
    )
    from nwb_cascade.models.library import load_model
    from nwb_cascade.training.recordings import load_recordings

    loaded = load_model(model)
    if spike_dff is not None and indicator is not None:
        return calibration_from_response(loaded, indicator, spike_dff, uncertainty, species=species)
    if mean_rate is not None:
        return calibration_from_mean_rate(loaded, sources, mean_rate, uncertainty, run_name)
    recordings = [one for folder in sources for one in load_recordings(folder)]
    return calibration_from_cells(loaded, recordings, indicator=indicator, species=species)
