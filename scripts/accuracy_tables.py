"""Make the tables of docs/accuracy.md: every model against known spikes under every condition that the page reports.

    python -m scripts.accuracy_tables --ground-truth ../shared/ground_truth --published ../shared/cascade_models/NAME \
        --output /somewhere [--only gcamp8,published,slow,causal,unknown,coverage]

Each part is written as a CSV file of all cells and a Markdown table when it is done; a part whose table is there is
not computed again. ``nwb-cascade evaluate`` gives the same figures one condition at a time. OASIS takes part where the
package oasis-deconv is installed.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from nwb_cascade.evaluation.assessment import Case, Condition, Estimator, Result, evaluate, make_case, medians
from nwb_cascade.evaluation.estimators import deconvolution_estimator, remembering, shifted
from nwb_cascade.evaluation.evaluation_run import NOTHING, bundle_estimator, held_out_estimator
from nwb_cascade.evaluation.interval_coverage import coverage_entry, interval_coverage
from nwb_cascade.models.bundle import Model
from nwb_cascade.models.import_cascade import read_cascade_folder
from nwb_cascade.models.library import load_model
from nwb_cascade.training.recordings import KnownRecording, load_recordings
from scripts.measuring import markdown_table, options_of

GCAMP8 = ("DS30", "DS31", "DS32")
PUBLISHED = ("DS03", "DS04", "DS05", "DS07", "DS08", *(f"DS{n}" for n in range(10, 21)))
COLUMNS = ("ν", "dataset", "estimator", "cells", "correlation", "error", "bias", "lag (ms)", "silence (Hz)")
Rows = list[tuple[str, ...]]


class Tables:
    """The models, the recordings, and one method per part of the page."""

    def __init__(self, recordings: Sequence[KnownRecording], published: Model, output: Path) -> None:
        self.recordings = recordings
        self.published = published
        self.output = output
        self.model = load_model("conditional-1-120Hz")

    def gcamp8(self) -> None:
        """Held-out animals, at three noise levels."""
        self._score("gcamp8", GCAMP8, [Condition(30.0, level) for level in (2.0, 4.0, 8.0)], {"ours": self._ours()})

    def published_list(self) -> None:
        """The published model's own datasets: ours held out, the published one in-sample, plain deconvolution."""
        corrected = remembering(bundle_estimator(self.published.config, self.published.weights))
        estimators = {"ours": self._ours(), "published, frame-corrected": corrected}
        estimators["as published"] = shifted(corrected, -1)
        try:
            estimators["OASIS"] = deconvolution_estimator()
        except ImportError as error:
            print(error)
        conditions = [Condition(30.0, level) for level in (2.0, 4.0, 8.0)]
        self._score("published", PUBLISHED, conditions, estimators)

    def slow(self) -> None:
        """Every dataset at 7.5 Hz."""
        self._score("slow", (), [Condition(7.5, 2.0, "gaussian", 0.2)], {"ours": self._ours()})

    def causal(self) -> None:
        """The causal kernel."""
        self._score("causal", (*GCAMP8, *PUBLISHED), [Condition(30.0, 2.0, "causal", 0.05)], {"ours": self._ours()})

    def unknown(self) -> None:
        """Without being told the indicator."""
        untold = held_out_estimator(self.model.config, self.model.weights, "animal", told=NOTHING)
        self._score("unknown", (*GCAMP8, *PUBLISHED), [Condition(30.0, 2.0)], {"ours, not told": untold})

    def coverage(self) -> None:
        """How often spikes lie within the ensemble's deviation around the held-out expectation."""
        config, weights = self.model.config, self.model.weights
        deviation = bundle_estimator(config, weights, quantity="ensemble_std")
        entries = []
        for level in (2.0, 8.0):
            made = [make_case(one, Condition(30.0, level)) for one in self._chosen((*GCAMP8, *PUBLISHED))]
            cases = [case for case in made if isinstance(case, Case)]
            entries += [
                {"ν": f"{level:g}", **coverage_entry(one)} for one in interval_coverage(cases, self._ours(), deviation)
            ]
        rows = [tuple(f"{v:.3f}" if isinstance(v, float) else str(v) for v in one.values()) for one in entries]
        self._write("coverage", entries, tuple(entries[0]), rows)

    def _ours(self) -> Estimator:
        return held_out_estimator(self.model.config, self.model.weights, "animal")

    def _chosen(self, datasets: Sequence[str]) -> list[KnownRecording]:
        return [one for one in self.recordings if not datasets or one.dataset in datasets]

    def _score(
        self,
        name: str,
        datasets: Sequence[str],
        conditions: Sequence[Condition],
        estimators: Mapping[str, Estimator],
    ) -> None:
        cells, rows = [], []
        for condition in conditions:
            results = evaluate(self._chosen(datasets), condition, estimators)
            cells += [_cell(condition, one) for one in results if one.scores is not None]
            rows += _rows(condition, results)
        self._write(name, cells, COLUMNS, rows)

    def _write(self, name: str, records: Sequence[Mapping[str, object]], columns: Sequence[str], rows: Rows) -> None:
        with (self.output / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(records[0]))
            writer.writeheader()
            writer.writerows(records)
        (self.output / f"{name}.md").write_text(markdown_table(columns, rows), encoding="utf-8")
        print(f"{name}: done", flush=True)


def _cell(condition: Condition, one: Result) -> dict[str, object]:
    scores = asdict(one.scores) if one.scores else {}
    names = {"dataset": one.dataset, "cell": one.cell, "indicator": one.indicator, "estimator": one.estimator}
    return {**asdict(condition), **names, **scores}


def _rows(condition: Condition, results: Sequence[Result]) -> Rows:
    """Medians per dataset, and over the datasets' medians where there are several."""
    found = medians(results)
    rows: Rows = [
        (
            f"{condition.noise_level:g}",
            dataset,
            estimator,
            f"{one['n']:.0f}",
            f"{one['correlation']:.3f}",
            f"{one['error']:.2f}",
            f"{one['bias']:+.2f}",
            f"{1000 * one['lag_s']:+.1f}",
            f"{one['silence_hz']:.3f}",
        )
        for (dataset, estimator), one in sorted(found.items())
    ]
    for estimator in sorted({estimator for _, estimator in found}):
        of = [one["correlation"] for (_, name), one in found.items() if name == estimator]
        middle = f"{np.nanmedian(of):.3f}"
        rows.append(
            (f"{condition.noise_level:g}", "median of datasets", estimator, str(len(of)), middle, "", "", "", "")
        )
    return rows


def main() -> None:
    """Make the parts that are asked for and not there yet."""
    parser = options_of(__doc__)
    parser.add_argument("--ground-truth", type=Path, required=True)
    parser.add_argument("--published", type=Path, required=True, help="folder of Global_EXC_30Hz_smoothing25ms")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", default="gcamp8,published,slow,causal,unknown,coverage")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    recordings = load_recordings(options.ground_truth)
    tables = Tables(recordings, read_cascade_folder(options.published), options.output)
    parts: dict[str, Callable[[], None]] = {
        "gcamp8": tables.gcamp8,
        "published": tables.published_list,
        "slow": tables.slow,
        "causal": tables.causal,
        "unknown": tables.unknown,
        "coverage": tables.coverage,
    }
    for name in options.only.split(","):
        if not (options.output / f"{name}.md").exists():
            parts[name]()


if __name__ == "__main__":
    main()
