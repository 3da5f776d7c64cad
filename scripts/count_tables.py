"""Make the tables and the figure of docs/counts.md: coverage of the intervals, and what labelled cells mend.

    python -m scripts.count_tables --ground-truth ../shared/ground_truth --output /somewhere

Writes ``coverage.md`` with ``coverage.png``, ``calibration.md``, ``responses.md`` and ``interneurons.md``; ``--model``
takes another model than the bundled one, ``--only responses`` makes one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground_truth_nwb.cascade_mat import list_cells, read_cell
from ground_truth_nwb.kinetics_fit import MIN_ISOLATED_SPIKES, isolated_response
from nwb_cascade.core.calibration import gain_from_cells
from nwb_cascade.core.count_model import CountModel
from nwb_cascade.core.spike_counts import COUNT_MODELS
from nwb_cascade.errors import InputError
from nwb_cascade.evaluation.assessment import Condition, evaluate
from nwb_cascade.evaluation.count_coverage import LEVELS, CountCoverage, count_coverage, coverage_means
from nwb_cascade.evaluation.count_fit import KnownCounts, known_counts
from nwb_cascade.evaluation.evaluation_run import PLAIN, WITH_KIND, held_out_estimator
from nwb_cascade.evaluation.labelled import calibration_from_response
from nwb_cascade.models.bundle import Model, make_model
from nwb_cascade.models.library import load_model
from nwb_cascade.training.conditional_bundle import take_members
from nwb_cascade.training.recordings import KnownRecording, load_recordings
from scripts.measuring import markdown_head, markdown_row, options_of

CONDITIONS = tuple(Condition(rate, level, "gaussian", 0.05) for rate, level in ((30.0, 2.0), (15.0, 4.0), (7.5, 8.0)))
LABELLED = (1, 2, 3, 5)
DRAWS = 200
TELLINGS = {"plain": PLAIN, "told": WITH_KIND}
INTERNEURONS = ("ν", "dataset", "told", "cells", "correlation, plain", "told", "found / true, plain", "told")
RESPONSES = ("dataset", "indicator", "usual dF/F of one spike", "found", "log2 bias, as inferred", "calibrated by it")


def coverage_rows(found: Sequence[CountCoverage], condition: Condition) -> list[str]:
    """Rows of the table of one condition."""
    rows = []
    for one in found:
        shares = [" / ".join(f"{share:.2f}" for share in of) for of in (one.within, one.within_all)]
        numbers = (one.n_cells, one.n_event_windows, *shares, f"{one.width:.2f}")
        rows.append(markdown_row((condition_name(condition), one.dataset, one.kind, *numbers)))
    return rows


def condition_name(condition: Condition) -> str:
    """A condition as tables have it."""
    return f"{condition.imaging_rate:g} Hz, ν {condition.noise_level:g}"


def biases(model: Model, recordings: Sequence[KnownRecording], condition: Condition) -> dict[int, float]:
    """Median over held-out datasets of |log2 bias| by number of labelled cells."""
    fitted, generator = model.config.extra[COUNT_MODELS], np.random.default_rng(0)
    datasets: dict[str, list[tuple[float, ...]]] = {}
    models: dict[str, CountModel] = {}
    for (one,) in known_counts(model.config, model.weights, recordings, condition, (None,)):
        if one.kind != "met" and one.counts.sum() > 0:
            sums = (float(one.counts.sum()), float(one.expected.sum()), float(one.window_s.sum()), one.noise_level)
            datasets.setdefault(one.recording.dataset, []).append(sums)
            models[one.recording.dataset] = CountModel.from_dict(fitted["held_out"][one.judge][one.kind])
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


def response_rows(model: Model, recordings: Sequence[KnownRecording], ground_truth: Path) -> list[str]:
    """What the dF/F of one spike tells of the counts of excitatory cells that were not met: rows of a table."""
    fitted = model.config.extra[COUNT_MODELS]["held_out"]
    cells: dict[str, list[KnownCounts]] = {}
    for (one,) in known_counts(model.config, model.weights, recordings, CONDITIONS[0], (None,)):
        if one.kind == "unmet" and one.counts.sum() > 0:
            cells.setdefault(one.recording.dataset, []).append(one)
    rows, logs = [], []
    for dataset, own in sorted(cells.items()):
        response, recording, judge = one_spike_dff(ground_truth, dataset), own[0].recording, own[0].judge
        if response is None:
            continue
        config, weights = take_members(model.config, model.weights, [int(judge)])
        alone = make_model(replace(config, extra={COUNT_MODELS: fitted[judge]}), weights)
        made = calibration_from_response(alone, recording.indicator, response, 0.0, species=recording.species or None)
        stated, true = _log_gains(own, CountModel.from_dict(fitted[judge]["unmet"]))
        implied = np.log(made.evidence["spikes_found_of_usual"] / made.evidence["spikes_found"])
        logs.append((stated, np.log(made.gain) - true, true - implied))
        usual = made.evidence["usual_spike_dff"]
        biases = (f"{one / np.log(2):+.2f}" for one in logs[-1][:2])
        rows.append(markdown_row((dataset, recording.indicator, f"{usual:.3f}", f"{response:.3f}", *biases)))
    stated, after, rest = np.array(logs).T
    print(f"log of the true gain less what the response says: median {np.median(rest):.2f}, SD {rest.std():.2f}")
    for name, size in (("median size", lambda one: np.median(np.abs(one))), ("standard deviation", np.std)):
        sizes = (f"{size(one) / np.log(2):.2f}" for one in (stated, after))
        rows.append(markdown_row((name, "", "", "", *sizes)))
    return rows


def _log_gains(cells: Sequence[KnownCounts], model: CountModel) -> tuple[float, float]:
    """Medians over cells of the log of stated over true counts, and of true ones over the model's means."""
    known, expected, seconds = (
        np.array([getattr(one, key).sum() for one in cells]) for key in ("counts", "expected", "window_s")
    )
    means = model.means(expected, [one.noise_level for one in cells], seconds)
    pairs = (expected, known), (known, means)
    stated, true = (float(np.median(np.log((a + 0.5) / (b + 0.5)))) for a, b in pairs)
    return stated, true


def one_spike_dff(ground_truth: Path, dataset: str) -> float | None:
    """Peak dF/F of the median response of a dataset's cells to one spike; None if no cell has ten isolated ones."""
    (folder,) = ground_truth.glob(f"{dataset}-*")
    averages = [isolated_response(read_cell(path)) for path in list_cells(folder)]
    responses = [response for response, n_spikes in averages if n_spikes >= MIN_ISOLATED_SPIKES]
    return float(np.nanmax(np.nanmedian(responses, axis=0))) if responses else None


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
    parser = options_of(__doc__)
    parser.add_argument("--ground-truth", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", default="conditional-1-120Hz")
    parser.add_argument("--only", default="coverage,responses,calibration,interneurons")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    model, recordings = load_model(arguments.model), load_recordings(arguments.ground_truth)
    parts = {
        "coverage": lambda: coverage_table(model, recordings, arguments.output),
        "responses": lambda: [markdown_head(RESPONSES), *response_rows(model, recordings, arguments.ground_truth)],
        "calibration": lambda: calibration_table(model, recordings),
        "interneurons": lambda: interneuron_table(model, recordings),
    }
    for name in arguments.only.split(","):
        text = "\n".join(parts[name]()) + "\n"
        (arguments.output / f"{name}.md").write_text(text, encoding="utf-8")
        print(text, flush=True)


def coverage_table(model: Model, recordings: Sequence[KnownRecording], output: Path) -> list[str]:
    """Coverage of all conditions, and in whole trials the means; the figure is of the first."""
    levels = " / ".join(f"{100 * level:g} %" for level in LEVELS)
    shares = (f"events, {levels}", "all windows", "width of 80 %")
    rows = [markdown_head(("condition", "dataset", "class", "cells", "event windows", *shares))]
    for number, condition in enumerate(CONDITIONS):
        found = count_coverage(model.config, model.weights, recordings, condition)
        rows += coverage_rows([*found, *coverage_means(found)], condition)
        if number == 0:
            draw(found, output / "coverage.png")
        whole = coverage_means(count_coverage(model.config, model.weights, recordings, condition, window_s=None))
        rows += coverage_rows([replace(one, dataset="mean, whole trials") for one in whole], condition)
    return rows


def calibration_table(model: Model, recordings: Sequence[KnownRecording]) -> list[str]:
    """What labelled cells mend."""
    table = [markdown_head(("condition", "not calibrated", *(f"{n} labelled" for n in LABELLED)))]
    for condition in CONDITIONS:
        values = (f"{one:.2f}" for one in biases(model, recordings, condition).values())
        table.append(markdown_row((condition_name(condition), *values)))
    return table


def interneuron_table(model: Model, recordings: Sequence[KnownRecording]) -> list[str]:
    """What telling the kind of cell does for interneurons; medians over cells."""
    table = [markdown_head(INTERNEURONS)]
    codes = {(one.dataset, one.cell): one.own_code for one in recordings if one.own_code != one.told}
    own = [one for one in recordings if (one.dataset, one.cell) in codes]
    config, weights = model.config, model.weights
    estimators = {how: held_out_estimator(config, weights, "animal", told=told) for how, told in TELLINGS.items()}
    for level in (2.0, 8.0):
        groups: dict[tuple[str, str], dict[str, list[tuple[float, float]]]] = {}
        for one in evaluate(own, Condition(30.0, level), estimators):
            if one.scores is not None and np.isfinite(one.scores.bias):
                group = groups.setdefault((one.dataset, codes[one.dataset, one.cell]), {how: [] for how in TELLINGS})
                group[one.estimator].append((one.scores.correlation, 1 + one.scores.bias))
        for (dataset, code), found in sorted(groups.items()):
            medians = np.transpose([np.nanmedian(found[how], axis=0) for how in TELLINGS]).ravel()
            numbers = (len(found["plain"]), *(f"{one:.2f}" for one in medians))
            table.append(markdown_row((f"{level:g}", dataset, code, *numbers)))
    return table


if __name__ == "__main__":
    main()
