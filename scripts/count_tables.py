"""Make the tables and the figure of docs/counts.md: coverage of the intervals, and what labelled cells mend.

    python -m scripts.count_tables --ground-truth ../shared/ground_truth --output /somewhere

Writes ``coverage.md``, ``calibration.md`` and ``coverage.png``; ``--model`` takes another model than the bundled one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.calibration import gain_from_cells
from nwb_cascade.core.count_model import CountModel
from nwb_cascade.core.spike_counts import COUNT_MODELS
from nwb_cascade.errors import InputError
from nwb_cascade.evaluation.assessment import Condition
from nwb_cascade.evaluation.count_coverage import LEVELS, CountCoverage, count_coverage, coverage_means
from nwb_cascade.evaluation.count_fit import known_counts
from nwb_cascade.models.bundle import Model
from nwb_cascade.models.library import load_model
from nwb_cascade.training.recordings import KnownRecording, load_recordings

CONDITIONS = tuple(Condition(rate, level, "gaussian", 0.05) for rate, level in ((30.0, 2.0), (15.0, 4.0), (7.5, 8.0)))
LABELLED = (1, 2, 3, 5)
DRAWS = 30


def coverage_rows(found: Sequence[CountCoverage], condition: Condition) -> list[str]:
    """Rows of the table of one condition."""
    rows = []
    for one in [*found, *coverage_means(found)]:
        shares = [" / ".join(f"{share:.2f}" for share in of) for of in (one.within, one.within_all)]
        name = f"| {condition.imaging_rate:g} Hz, ν {condition.noise_level:g} | {one.dataset} | {one.kind} "
        rows.append(f"{name}| {one.n_cells} | {one.n_event_windows} | {shares[0]} | {shares[1]} | {one.width:.2f} |")
    return rows


def biases(model: Model, recordings: Sequence[KnownRecording], condition: Condition) -> dict[int, float]:
    """Median over held-out datasets of |log2 bias| by number of labelled cells."""
    fitted, generator = model.config.extra[COUNT_MODELS], np.random.default_rng(0)
    datasets: dict[str, list[tuple[float, ...]]] = {}
    models: dict[str, CountModel] = {}
    for (one,) in known_counts(model.config, model.weights, recordings, condition, (None,)):
        if one.kind == "unmet" and one.counts.sum() > 0:
            sums = (float(one.counts.sum()), float(one.expected.sum()), float(one.window_s.sum()), one.noise_level)
            datasets.setdefault(one.recording.dataset, []).append(sums)
            models[one.recording.dataset] = CountModel.from_dict(fitted["held_out"][one.judge]["unmet"])
    found: dict[int, list[float]] = {number: [] for number in (0, *LABELLED)}
    for dataset, of_dataset in datasets.items():
        cells = np.array(of_dataset)
        found[0].append(_bias(cells[:, 1], cells[:, 0]))
        means = models[dataset].means(cells[:, 1], cells[:, 3], cells[:, 2])
        for number in LABELLED:
            if len(cells) > number + 1:
                drawn = [_drawn(cells, means, number, models[dataset], generator) for _ in range(DRAWS)]
                found[number].append(float(np.median(drawn)))
    return {number: float(np.median(of)) for number, of in found.items()}


def _drawn(
    cells: NDArray[np.float64],
    means: NDArray[np.float64],
    number: int,
    model: CountModel,
    generator: np.random.Generator,
) -> float:
    """Bias of the other cells after a calibration with some."""
    order = generator.permutation(len(cells))
    some, others = order[:number], order[number:]
    try:
        gain, _ = gain_from_cells(cells[some, 0], cells[some, 1], cells[some, 3], cells[some, 2], model)
    except InputError:  # a gain beyond its range: nobody would use it
        gain = 1.0
    return _bias(means[others] * gain, cells[others, 0])


def _bias(stated: NDArray[np.float64], known: NDArray[np.float64]) -> float:
    return abs(float(np.median(np.log2((stated + 0.5) / (known + 0.5)))))


def draw(found: Sequence[CountCoverage], path: Path) -> None:
    """Coverage against the nominal level, a line per dataset."""
    from nwb_cascade.pages.figure_style import BLUE, LIGHT_BLUE, VERMILLION, figure_style, new_figure

    with figure_style():
        drawing = new_figure(6.0, 3.0)
        _lines(drawing, found, LIGHT_BLUE, BLUE, VERMILLION)
        drawing.savefig(path, dpi=120)


def _lines(drawing: Any, found: Sequence[CountCoverage], single: str, events: str, every: str) -> None:
    for axes, kind in zip(drawing.subplots(1, 2, sharey=True), ("met", "unmet"), strict=True):
        for one in found:
            if one.kind == kind:
                axes.plot(LEVELS, one.within, color=single, linewidth=0.6)
        for one in coverage_means(found):
            if one.kind == kind:
                axes.plot(LEVELS, one.within, "o-", color=events, label="events, mean")
                axes.plot(LEVELS, one.within_all, "s--", color=every, label="all windows, mean")
        axes.plot([0.4, 1], [0.4, 1], ":", color="black")
        axes.set(xlabel="nominal", title=kind, ylim=(0, 1))
        axes.legend(fontsize=7)


def main() -> None:
    """Make all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ground-truth", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", default="conditional-1-120Hz")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    model, recordings = load_model(arguments.model), load_recordings(arguments.ground_truth)
    levels = " / ".join(f"{100 * level:g} %" for level in LEVELS)
    rows = [
        f"| condition | dataset | class | cells | event windows | events, {levels} | all windows | width of 80 % |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for number, condition in enumerate(CONDITIONS):
        found = count_coverage(model.config, model.weights, recordings, condition)
        rows += coverage_rows(found, condition)
        (arguments.output / "coverage.md").write_text("\n".join(rows) + "\n", encoding="utf-8")
        print("\n".join(row for row in coverage_rows(found, condition) if "| mean |" in row), flush=True)
        if number == 0:
            draw(found, arguments.output / "coverage.png")
    table = ["| condition | not calibrated | " + " | ".join(f"{n} labelled" for n in LABELLED) + " |"]
    table.append("| --- " * (len(LABELLED) + 2) + "|")
    for condition in CONDITIONS:
        values = " | ".join(f"{one:.2f}" for one in biases(model, recordings, condition).values())
        table.append(f"| {condition.imaging_rate:g} Hz, ν {condition.noise_level:g} | {values} |")
    (arguments.output / "calibration.md").write_text("\n".join(table) + "\n", encoding="utf-8")
    print("\n".join(table))


if __name__ == "__main__":
    main()
