"""``nwb-cascade evaluate``: how well models find the spikes of recordings whose spikes are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from nwb_cascade.cli.command import Command
from nwb_cascade.cli.outputs import OutputFile
from nwb_cascade.cli.terminal import echo
from nwb_cascade.files.kinds import FIGURE, SCORES_JSON, SCORES_TABLE

if TYPE_CHECKING:
    from nwb_cascade.evaluation.assessment import Condition, Estimator, Result
    from nwb_cascade.evaluation.evaluation_run import HeldOut
    from nwb_cascade.models.bundle import Model
    from nwb_cascade.training.recordings import KnownRecording

COLUMNS = ("Rate (Hz)", "Noise", "Dataset", "Estimator", "Cells", "Correlation", "Error", "Bias", "Lag (ms)",
           "Silence (Hz)")  # fmt: skip
CSV_COLUMNS = ("imaging_rate", "noise_level", "kernel", "smoothing_s", "exposure", "dataset", "cell", "animal",
               "indicator", "estimator", "correlation", "error", "bias", "lag_s", "silence_hz",
               "skipped")  # fmt: skip


@click.command("evaluate", cls=Command)
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option(
    "--ground-truth",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the ground truth: Cascade's MATLAB files or converted NWB files.",
)
@click.option("--datasets", help="Only these, e.g. DS30,DS31.")
@click.option("--imaging-rate", type=float, default=30.0, show_default=True, help="Hz.")
@click.option(
    "--noise",
    "noise_levels",
    type=float,
    multiple=True,
    help="Noise level that is added to, % Hz^-1/2; repeat for several [default: as recorded].",
)
@click.option("--kernel", type=click.Choice(["gaussian", "causal"]), default="gaussian", show_default=True)
@click.option("--smoothing", "smoothing_s", type=float, default=0.025, show_default=True, help="s.")
@click.option(
    "--exposure",
    type=click.FloatRange(0.0, 1.0, min_open=True),
    default=1.0,
    show_default=True,
    help="Part of a frame during which a cell is seen; little where a beam scans the plane.",
)
@click.option(
    "--leave-one-dataset-out",
    "held_out",
    flag_value="dataset",
    help="Use for each recording only the networks that were trained without its dataset.",
)
@click.option(
    "--by-animal",
    "held_out",
    flag_value="animal",
    help="Use for each recording only the networks that were trained without its animal.",
)
@click.option("--indicator-unknown", is_flag=True, help="Do not tell the model the indicator.")
@click.option(
    "--published",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    help="Folder of a published Cascade model to compare with, as published and frame-corrected.",
)
@click.option("--deconvolution", is_flag=True, help="Compare with plain deconvolution (needs oasis-deconv).")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the added noise.")
@click.option("--csv", "csv_file", type=OutputFile(SCORES_TABLE), help="Write the scores of every cell.")
@click.option("--json", "json_file", type=OutputFile(SCORES_JSON), help="Write the medians.")
@click.option(
    "--figure", "figure_file", type=OutputFile(FIGURE), help="Draw the correlation of every cell (.png, .pdf, .svg)."
)
@click.option(
    "--coverage",
    "coverage_file",
    type=OutputFile(SCORES_TABLE),
    help="Write how often spikes lie within the ensemble's deviation and, with --by-animal, 1 s counts in their "
    "intervals (CSV).",
)
def command(
    models: tuple[str, ...],
    ground_truth: Path,
    datasets: str | None,
    noise_levels: tuple[float, ...],
    seed: int,
    coverage_file: Path | None,
    **options: Any,
) -> None:
    """Compare estimates with known spikes: correlation, error, bias, lag and what is stated in silence.

    Medians over the cells of each dataset; silence is more than 3 s from any spike."""
    from nwb_cascade.cli.progress import progress_bar
    from nwb_cascade.cli.tables import print_table
    from nwb_cascade.evaluation.assessment import Condition, evaluate
    from nwb_cascade.training.recordings import load_recordings

    if coverage_file:
        _require_ensemble(models[0])
    with progress_bar("Reading ground truth") as progress:
        recordings = load_recordings(ground_truth, datasets.split(",") if datasets else (), progress=progress)
    held_out, tell = options["held_out"], not options["indicator_unknown"]
    estimators = _estimators(models, options["published"], held_out, tell, options["deconvolution"])
    how = {name: options[name] for name in ("imaging_rate", "kernel", "smoothing_s", "exposure")}
    conditions = [Condition(noise_level=level, **how) for level in noise_levels or (None,)]
    found: list[tuple[Condition, list[Result]]] = []
    with progress_bar("Evaluating") as progress:
        for done, condition in enumerate(conditions, start=1):
            found.append((condition, evaluate(recordings, condition, estimators, seed=seed)))
            progress(done, len(conditions))
    _report_skipped(found[-1][1])
    print_table(COLUMNS, _rows(found))
    for option, write in (("csv_file", _write_csv), ("json_file", _write_json), ("figure_file", _draw)):
        if options[option]:
            write(options[option], found)
    if coverage_file:
        _write_coverage(coverage_file, recordings, conditions, models[0], estimators, held_out, tell, seed)


def _estimators(
    models: tuple[str, ...], published: tuple[Path, ...], held_out: HeldOut | None, tell: bool, deconvolution: bool
) -> dict[str, Estimator]:
    """What is compared, by name."""
    from nwb_cascade.evaluation.estimators import deconvolution_estimator, remembering, shifted
    from nwb_cascade.evaluation.evaluation_run import NOTHING, PLAIN, bundle_estimator, held_out_estimator
    from nwb_cascade.models.import_cascade import read_cascade_folder
    from nwb_cascade.models.library import load_model

    estimators: dict[str, Estimator] = {}
    told = PLAIN if tell else NOTHING
    for name in models:
        model = load_model(name)
        if held_out is not None:
            estimator = held_out_estimator(model.config, model.weights, held_out, told=told)
        else:
            estimator = bundle_estimator(model.config, model.weights, told=told)
        estimators[model.config.name] = estimator
    for folder in published:
        model = read_cascade_folder(folder)
        corrected = remembering(bundle_estimator(model.config, model.weights))
        estimators[f"{model.config.name}, frame-corrected"] = corrected
        estimators[f"{model.config.name}, as published"] = shifted(corrected, -1)
    if deconvolution:
        estimators["OASIS"] = deconvolution_estimator()
    return estimators


def _rows(found: list[tuple[Condition, list[Result]]]) -> list[tuple[str, ...]]:
    from nwb_cascade.evaluation.assessment import medians

    rows: list[tuple[str, ...]] = []
    for condition, results in found:
        noise = "as recorded" if condition.noise_level is None else f"{condition.noise_level:g}"
        for (dataset, estimator), one in sorted(medians(results).items()):
            figures = (f"{one['correlation']:.3f}", f"{one['error']:.2f}", f"{one['bias']:+.2f}")
            first = (f"{condition.imaging_rate:g}", noise, dataset, estimator, f"{one['n']:.0f}")
            rows.append((*first, *figures, f"{1000 * one['lag_s']:+.1f}", f"{one['silence_hz']:.3f}"))
    return rows


def _report_skipped(results: list[Result]) -> None:
    skipped = {(result.dataset, result.cell): result.skipped for result in results if result.skipped}
    for (dataset, cell), reason in skipped.items():
        echo(f"{dataset} {cell}: left out, {reason}", err=True)


def _write_csv(path: Path, found: list[tuple[Condition, list[Result]]]) -> None:
    import csv
    from dataclasses import asdict

    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, CSV_COLUMNS, restval="", extrasaction="ignore")
        writer.writeheader()
        for condition, results in found:
            for one in results:
                scores = asdict(one.scores) if one.scores else {}
                writer.writerow({**asdict(one), **asdict(condition), **scores})


def _write_json(path: Path, found: list[tuple[Condition, list[Result]]]) -> None:
    import json
    from dataclasses import asdict

    from nwb_cascade.evaluation.assessment import medians

    entries = [
        {**asdict(condition), "dataset": dataset, "estimator": estimator, **scores}
        for condition, results in found
        for (dataset, estimator), scores in sorted(medians(results).items())
    ]
    path.write_text(json.dumps(entries, indent=1), encoding="utf-8")


def _draw(path: Path, found: list[tuple[Condition, list[Result]]]) -> None:
    """Draw the correlations; with several noise levels, each with each estimator."""
    from nwb_cascade.report.figures import accuracy_figure

    scores: dict[str, dict[str, list[float]]] = {}
    for condition, results in found:
        suffix = f", ν = {condition.noise_level:g}" if len(found) > 1 and condition.noise_level is not None else ""
        for one in results:
            if one.scores is not None:
                by_dataset = scores.setdefault(one.estimator + suffix, {})
                by_dataset.setdefault(one.dataset, []).append(one.scores.correlation)
    accuracy_figure({name: {k: np.array(v) for k, v in one.items()} for name, one in scores.items()}).savefig(path)


def _require_ensemble(name: str) -> None:
    """Refuse --coverage for a single network, before any work."""
    from nwb_cascade.models.library import load_model

    config = load_model(name).config
    if config.ensemble_size < 2:
        raise click.UsageError(f"{config.name} has a single network, hence no deviation; leave out --coverage.")


def _of_counts(
    model: Model, recordings: Sequence[KnownRecording], condition: Condition, seed: int
) -> dict[str, dict[str, Any]]:
    """Coverage of the intervals of 1 s counts by dataset, and under no name what stands where there is none."""
    from nwb_cascade.core.spike_counts import COUNT_MODELS
    from nwb_cascade.evaluation.count_coverage import count_coverage, coverage_record

    if COUNT_MODELS not in model.config.extra:
        return {}
    found = count_coverage(model.config, model.weights, recordings, condition, seed=seed)
    records = [coverage_record(one) for one in sorted(found, key=lambda one: one.n_cells)]
    columns = {one["dataset"]: {k: v for k, v in one.items() if k not in ("dataset", "cells")} for one in records}
    return {"": dict.fromkeys(next(iter(columns.values()), {}), ""), **columns}


def _write_coverage(
    path: Path,
    recordings: Sequence[KnownRecording],
    conditions: Sequence[Condition],
    name: str,
    estimators: Mapping[str, Estimator],
    held_out: HeldOut | None,
    tell: bool,
    seed: int,
) -> None:
    """Coverage of the first model's ensemble, also printed; the band is that of all its networks."""
    import csv
    from dataclasses import asdict

    from nwb_cascade.cli.tables import print_table
    from nwb_cascade.evaluation.assessment import Case, make_case
    from nwb_cascade.evaluation.evaluation_run import NOTHING, PLAIN, bundle_estimator
    from nwb_cascade.evaluation.interval_coverage import coverage_entry, interval_coverage
    from nwb_cascade.models.library import load_model

    model = load_model(name)
    told = PLAIN if tell else NOTHING
    deviation = bundle_estimator(model.config, model.weights, told=told, quantity="ensemble_std")
    entries = []
    for condition in conditions:
        made = [make_case(recording, condition, seed=seed) for recording in recordings]
        cases = [case for case in made if isinstance(case, Case)]
        of_counts = _of_counts(model, recordings, condition, seed) if held_out == "animal" and tell else {}
        entries += [
            {**asdict(condition), **coverage_entry(one), **of_counts.get(one.dataset, of_counts.get("", {}))}
            for one in interval_coverage(cases, estimators[model.config.name], deviation)
        ]
    if not entries:
        raise click.UsageError("No cell could be brought to these conditions, so there is no coverage to tell.")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(entries[0]))
        writer.writeheader()
        writer.writerows(entries)
    rows = [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in entry.values()] for entry in entries]
    print_table([key.replace("_", " ") for key in entries[0]], rows)
