"""How long a process takes before it does anything: ratios to `import tensorflow`, in turns within one run.

    python -m scripts.benchmark_startup [--rounds 5] [--output docs/benchmarks/startup.json]

A simulated recording of 20 ROIs and 3 minutes at 30 Hz is planned (dry run), refused (a series that is not there),
annotated, and asked for again (skipped), each time in a process of its own. Given are medians over rounds and the
median of the ratios of each round, of the clock's time and of the processor's, which a busy machine stretches less.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from scripts.measuring import COMMAND, Cost, measured_process, options_of, show_json
from tests.support.recordings import dff_recording, simulated_dff

N_ROIS, RATE, DURATION_S = 20, 30.0, 180.0
REFERENCE = "import tensorflow"
PYTHON = (
    "import numpy as np, nwb_cascade; "
    f"nwb_cascade.infer(np.random.default_rng(0).normal(0, 0.1, ({N_ROIS}, {int(RATE * DURATION_S)})), {RATE})"
)


def one_round(recording: Path, output: Path) -> dict[str, Cost]:
    """Everything once, in turns."""
    output.unlink(missing_ok=True)
    return {
        REFERENCE: measured_process(REFERENCE),
        "dry run": measured_process(COMMAND, "infer", recording, "--dry-run"),
        "refusal": measured_process(COMMAND, "infer", recording, "--series", "none", status=1),
        "small recording": measured_process(COMMAND, "infer", recording, "-o", output),
        "already there": measured_process(COMMAND, "infer", recording, "-o", output),
        "small array": measured_process(PYTHON),
    }


def summary(rounds: list[dict[str, Cost]]) -> dict[str, dict[str, float]]:
    """Medians over rounds, by what was done."""
    found: dict[str, dict[str, float]] = {}
    for name in rounds[0]:
        figures: dict[str, float] = {}
        for kind in ("wall", "cpu"):
            seconds = [(getattr(one[name], f"{kind}_s"), getattr(one[REFERENCE], f"{kind}_s")) for one in rounds]
            figures[f"{kind}_s"] = statistics.median(own for own, _ in seconds)
            figures[f"{kind}_ratio"] = statistics.median(own / reference for own, reference in seconds)
        found[name] = figures
    return found


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options_of(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "recording.nwb"
        dff_recording(recording, simulated_dff(N_ROIS, int(RATE * DURATION_S)), rate=RATE)
        one_round(recording, Path(folder) / "warm-up.nwb")
        rounds = [one_round(recording, Path(folder) / "output.nwb") for _ in range(options.rounds)]
    show_json(summary(rounds), options.output)


if __name__ == "__main__":
    main()
