"""Discrete spikes against known spikes; the table "Discrete spikes" of docs/accuracy.md.

    python scripts/evaluate_spikes.py ../shared/ground_truth [--model conditional-1-120Hz] [--datasets DS30,DS31]

Every recording is judged by the networks that were trained without its animal. Prints, as a table in Markdown,
medians over the cells of each dataset: F1, precision and recall for spikes at most 50 ms apart, the number of spikes
found against the true number, the fit error. ``--csv`` writes every cell.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from nwb_cascade.evaluation.assessment import Case, Condition, make_case
from nwb_cascade.evaluation.evaluation_run import held_out_estimator
from nwb_cascade.evaluation.spike_scores import SpikeScores, median_spike_scores, spike_scores
from nwb_cascade.models.library import load_model
from nwb_cascade.training.recordings import load_recordings


def main() -> None:
    """Read the options, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ground_truth", type=Path)
    parser.add_argument("--model", default="conditional-1-120Hz")
    parser.add_argument("--datasets", default="", help="only these, e.g. DS30,DS31")
    parser.add_argument("--imaging-rate", type=float, default=30.0, help="Hz")
    parser.add_argument("--noise", type=float, default=2.0, help="noise level, %% Hz^-1/2; noisier cells are left out")
    parser.add_argument("--smoothing", type=float, default=0.025, help="s")
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    recordings = load_recordings(options.ground_truth, options.datasets.split(",") if options.datasets else ())
    condition = Condition(options.imaging_rate, options.noise, smoothing_s=options.smoothing)
    made = (make_case(recording, condition) for recording in recordings)
    cases = [case for case in made if isinstance(case, Case)]
    model = load_model(options.model)
    scores = spike_scores(cases, held_out_estimator(model.config, model.weights, "animal"))
    print_table(cases, scores)
    if options.csv:
        write_csv(options.csv, scores)


def print_table(cases: list[Case], scores: list[SpikeScores]) -> None:
    """One line per dataset and one for all cells: conserved | supported."""
    indicator_of = {case.recording.dataset: case.recording.indicator for case in cases}
    medians = median_spike_scores(scores)
    columns = ("F1", "precision", "recall", "count error", "median of its size", "fit error")
    print("| dataset | indicator | cells | " + " | ".join(columns) + " |")
    print("| --- " * (3 + len(columns)) + "|")
    names = sorted({dataset for dataset, _ in medians} - {"all"})
    for name in [*names, "all"]:
        pairs = [(medians[name, "conserved"][key], medians[name, "supported"][key]) for key in
                 ("f1", "precision", "recall", "count_error", "count_distance", "fit_error")]  # fmt: skip
        shown = [f"{a:.2f} / {b:.2f}" for a, b in pairs[:3]]
        shown += [f"{100 * a:+.0f} / {100 * b:+.0f} %" for a, b in pairs[3:4]]
        shown += [f"{100 * a:.0f} / {100 * b:.0f} %" for a, b in pairs[4:5]]
        shown += [f"{a:.2f} / {b:.2f}" for a, b in pairs[5:]]
        cells = f"{medians[name, 'conserved']['n']:.0f}"
        print(f"| {name} | {indicator_of.get(name, '')} | {cells} | " + " | ".join(shown) + " |")


def write_csv(path: Path, scores: list[SpikeScores]) -> None:
    """Every cell, once per way of counting."""
    fields = ("dataset", "cell", "animal", "indicator", "spike_total", "n_true", "n_found", "fit_error")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*fields, "precision", "recall", "f1"])
        writer.writerows([*(getattr(one, field) for field in fields), *one.match] for one in scores)


if __name__ == "__main__":
    main()
