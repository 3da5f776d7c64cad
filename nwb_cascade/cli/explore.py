"""``nwb-cascade ground-truth explore``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nwb_cascade.cli.command import Command
from nwb_cascade.cli.outputs import OutputFile
from nwb_cascade.cli.terminal import echo
from nwb_cascade.files.kinds import PAGE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nwb_cascade.report.cell_frames import InferCell


@click.command("explore", cls=Command)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", type=OutputFile(PAGE), default=Path("explore.html"), show_default=True)
@click.option("--model", default="auto", show_default=True, metavar="auto|NAME|DIR", help="The model.")
@click.option("--no-infer", is_flag=True, help="Show the recorded data only.")
@click.option("--imaging-rate", metavar="HZ", type=float, help="Average cells that were recorded faster down to this.")
def command(folder: Path, output: Path, model: str, no_infer: bool, imaging_rate: float | None) -> None:
    """Write one HTML page about all cells in FOLDER: dF/F, recorded spikes, inferred rates and how well they agree."""
    from nwb_cascade.cli.progress import progress_bar
    from nwb_cascade.report.explore import write_explorer

    infer_cell = None if no_infer else _inference(model)
    with progress_bar("Reading cells") as progress:
        page = write_explorer(folder, output, infer=infer_cell, imaging_rate=imaging_rate, progress=progress)
    echo(f"Wrote {page} ({page.stat().st_size / 1e6:.1f} MB): open it in a browser.")


def _inference(model: str) -> InferCell:
    """Inference on one cell by a model."""
    from nwb_cascade.core.kernels import smoothing_kernel
    from nwb_cascade.inference import infer
    from nwb_cascade.report.cell_frames import CellInference

    def infer_cell(dff: NDArray[np.float32], imaging_rate: float, indicator: str, species: str | None) -> CellInference:
        result = infer(dff[None], imaging_rate, model=model, indicator=indicator, species=species)
        carried = result.parameters
        return CellInference(
            expected_spikes=result.expected_spikes[0],
            ensemble_std=result.ensemble_std[0],
            kernel=smoothing_kernel(carried["kernel"], carried["smoothing_s"], imaging_rate),
            model=result.model.name,
        )

    return infer_cell
