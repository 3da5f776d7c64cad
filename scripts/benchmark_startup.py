"""How long a process takes before it does anything: ratios to `import tensorflow`, in turns within one run.

    python -m scripts.benchmark_startup [--rounds 5] [--output docs/benchmarks/startup.json]

A simulated recording of 20 ROIs and 3 minutes at 30 Hz is planned (dry run), refused (a series that is not there),
annotated, and asked for again (skipped), each time in a process of its own. Given are medians over rounds and the
median of the ratios of each round, of the clock's time and of the processor's, which a busy machine stretches less.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.recordings import dff_recording, simulated_dff

N_ROIS, RATE, DURATION_S = 20, 30.0, 180.0
REFERENCE = "import tensorflow"
COMMAND = "import sys; from nwb_cascade.cli import main; main(sys.argv[1:])"
PYTHON = (
    "import numpy as np, nwb_cascade; "
    f"nwb_cascade.infer(np.random.default_rng(0).normal(0, 0.1, ({N_ROIS}, {int(RATE * DURATION_S)})), {RATE})"
)
Times = tuple[float, float]


def measured(code: str, *arguments: object, status: int = 0) -> Times:
    """Seconds of the clock and of the processor that a new process takes for some code."""
    before, start = os.times(), time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    wall, after = time.perf_counter() - start, os.times()
    if run.returncode != status:
        raise RuntimeError(f"Expected the exit status {status}, received {run.returncode}: {run.stderr}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, used


def one_round(recording: Path, output: Path) -> dict[str, Times]:
    """Everything once, in turns."""
    output.unlink(missing_ok=True)
    return {
        REFERENCE: measured(REFERENCE),
        "dry run": measured(COMMAND, "infer", recording, "--dry-run"),
        "refusal": measured(COMMAND, "infer", recording, "--series", "none", status=1),
        "small recording": measured(COMMAND, "infer", recording, "-o", output),
        "already there": measured(COMMAND, "infer", recording, "-o", output),
        "small array": measured(PYTHON),
    }


def summary(rounds: list[dict[str, Times]]) -> dict[str, dict[str, float]]:
    """Medians over rounds, by what was done."""
    found: dict[str, dict[str, float]] = {}
    for name in rounds[0]:
        figures: dict[str, float] = {}
        for index, kind in enumerate(("wall", "cpu")):
            figures[f"{kind}_s"] = statistics.median(times[name][index] for times in rounds)
            figures[f"{kind}_ratio"] = statistics.median(
                times[name][index] / times[REFERENCE][index] for times in rounds
            )
        found[name] = figures
    return found


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "recording.nwb"
        dff_recording(recording, simulated_dff(N_ROIS, int(RATE * DURATION_S)), rate=RATE)
        one_round(recording, Path(folder) / "warm-up.nwb")
        rounds = [one_round(recording, Path(folder) / "output.nwb") for _ in range(options.rounds)]
    text = json.dumps(summary(rounds), indent=1)
    print(text)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
