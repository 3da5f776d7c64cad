"""Time of `--series all` on several planes against one run over the same traces in one series.

    python -m scripts.benchmark_planes

Writes two files with the same traces, as planes and as a single series, and annotates them in turn, each in a process
of its own. Ratios of processor time hardly depend on what else the machine does; those of wall time do.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ground_truth_nwb.simulate import simulate_population
from scripts.measuring import COMMAND, Cost, markdown_head, markdown_row, measured_process, options_of
from tests.support.recordings import add_dff, bare_nwbfile, write_recording

RATE = 30.0


def main() -> None:
    """Print the times of every repetition and their ratios."""
    parser = options_of(__doc__)
    parser.add_argument("--planes", type=int, default=8)
    parser.add_argument("--rois", type=int, default=100, help="Of each plane.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    rng, n_rois = np.random.default_rng(0), asked.planes * asked.rois
    dff, _ = simulate_population(
        rng, n_rois, indicator="GCaMP6f", imaging_rate=RATE, duration_s=60 * asked.minutes, noise_level=2.0
    )
    print(f"{asked.planes} planes of {asked.rois} ROIs, {dff.shape[1]} frames")
    print(markdown_head(("", "planes, CPU s", "one, CPU s", "ratio", "planes, s", "one, s", "ratio")))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        planes, one = folder / "planes.nwb", folder / "one.nwb"
        write(planes, np.array_split(dff, asked.planes))
        write(one, [dff])
        for number in range(asked.repeats):
            many, alone = annotated(planes, "--series", "all"), annotated(one)
            pairs = ((many.cpu_s, alone.cpu_s), (many.wall_s, alone.wall_s))
            figures = (f for a, b in pairs for f in (f"{a:.1f}", f"{b:.1f}", f"{a / b:.2f}"))
            print(markdown_row((number + 1, *figures)), flush=True)


def annotated(recording: Path, *options: str) -> Cost:
    """What it costs to annotate a recording in a process of its own."""
    output = recording.with_name("output.nwb")
    output.unlink(missing_ok=True)
    return measured_process(COMMAND, "infer", recording, "-o", output, *options)


def write(path: Path, planes: list[NDArray[np.float32]]) -> None:
    """Write traces as one series per plane."""
    nwbfile = bare_nwbfile()
    for number, dff in enumerate(planes):
        add_dff(nwbfile, dff, name=f"plane{number}", rate=RATE)
    write_recording(path, nwbfile)


if __name__ == "__main__":
    main()
