"""``nwb-cascade train``: a model of one's own from ground truth, in one command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from nwb_cascade.cli.command import Command
from nwb_cascade.cli.outputs import OutputFolder
from nwb_cascade.cli.terminal import echo

FOLDER = click.Path(file_okay=False, path_type=Path)


def _read_plan_file(context: click.Context, parameter: click.Parameter, path: Path | None) -> dict[str, Any]:
    """Make the file's options the defaults of the command's, and return what only a plan has."""
    import yaml

    if path is None:
        return {}
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise click.UsageError(f"Expected {path} to hold keys and values, received {type(values).__name__}.")
    options = {
        spelling.removeprefix("--"): name
        for other in context.command.params
        if other is not parameter and (name := other.name) is not None
        for spelling in (*other.opts, name)
    }
    defaults: dict[str, Any] = {}
    for key in values.keys() & options.keys():
        if options[key] in defaults:
            raise click.UsageError(f"Expected each option once in {path}, received {options[key]} in two spellings.")
        defaults[options[key]] = values[key]
    if isinstance(defaults.get("datasets"), list):
        defaults["datasets"] = ",".join(defaults["datasets"])
    context.default_map = defaults
    return {key: value for key, value in values.items() if key not in options}


@click.command("train", cls=Command)
@click.argument(
    "plan",
    metavar="[CONFIG]",
    required=False,
    is_eager=True,
    callback=_read_plan_file,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--ground-truth",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the ground truth: Cascade's MATLAB files or converted NWB files.",
)
@click.option("--output", required=True, type=OutputFolder(), help="Folder of the bundle to write.")
@click.option("--checkpoints", type=FOLDER, help="Folder of the checkpoints [default: OUTPUT.training].")
@click.option("--name", help="Name of the model [default: that of the output folder].")
@click.option(
    "--architecture",
    metavar="NAME",
    help="conditional: one ensemble for any rate and noise level; cascade: published networks per noise level at one "
    "rate; online: networks for any rate that run along with a recording.",
)
@click.option("--imaging-rate", type=float, help="Hz; for --architecture cascade.")
@click.option("--noise", "noise_levels", type=float, multiple=True, help="Noise level; repeat for several.")
@click.option("--kernel", type=click.Choice(["gaussian", "causal"]), help="Smoothing kernel.")
@click.option("--smoothing", "smoothing_s", type=float, help="Width of the kernel, s.")
@click.option("--datasets", help="Train on these only, e.g. DS30,DS31.")
@click.option("--networks", "ensemble_size", type=click.IntRange(1), help="Networks (per noise level).")
@click.option("--start", metavar="MODEL", help="Begin with the networks of this conditional model, not at random.")
@click.option("--folds", is_flag=True, default=None, help="Train network k without fold k, for honest evaluation.")
@click.option("--steps", "n_steps", type=click.IntRange(1), help="Training steps per network.")
@click.option("--seed", type=int, help="Seed of everything random.")
@click.option("--citation", help="What to cite for the model [default: what the catalogue says of its datasets].")
@click.option("--licence", help="Licence of the weights [default: the terms that the datasets came under].")
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is already there.")
def command(
    plan: dict[str, Any],
    ground_truth: Path,
    output: Path,
    checkpoints: Path | None,
    datasets: str | None,
    start: str | None,
    overwrite: bool,
    **options: Any,
) -> None:
    """Train a model on ground truth and write it as a bundle.

    CONFIG is a YAML file with any of these options by name ("steps: 2000", "noise: [2, 4]"), further fields of a plan
    and, under "settings", those of the optimiser; options override it. A training that was interrupted goes on from
    its last checkpoint when the same command is run again.
    """
    from nwb_cascade.cli.progress import progress_bar
    from nwb_cascade.models.bundle import save_bundle
    from nwb_cascade.models.library import load_model
    from nwb_cascade.training.plans import run_plan
    from nwb_cascade.training.recordings import load_recordings
    from nwb_cascade.training.training_plan import TrainingPlan
    from nwb_cascade.training.warm_start import WarmStart

    if output.exists() and not overwrite:
        raise click.UsageError(f"{output} exists already; pass --overwrite to replace it.")
    given = {key: value for key, value in options.items() if value is not None and value != ()}
    settings = {**plan.get("settings", {}), **{key: given.pop(key) for key in ("n_steps", "seed") if key in given}}
    values = {"name": output.name, **plan, **given, "settings": settings}
    if datasets:
        values["datasets"] = datasets.split(",")
    training = TrainingPlan.from_mapping(values)
    begun = load_model(start) if start else None
    warm_start = WarmStart(begun.config, begun.weights) if begun else None
    with progress_bar("Reading ground truth") as progress:
        recordings = load_recordings(ground_truth, training.datasets, progress=progress)
    folder = checkpoints or output.with_name(output.name + ".training")
    with progress_bar(f"Training {training.name}") as progress:

        def show(network: str, step: int, total: int, losses: Mapping[str, float]) -> None:
            progress(step, total)
            figures = ", ".join(f"{key} {value:.4g}" for key, value in losses.items() if key != "step")
            echo(f"{network}: step {step} of {total}, {figures}", err=True)

        config, weights = run_plan(training, recordings, folder, start=warm_start, progress=show)
    model = save_bundle(output, config, weights, overwrite=overwrite)
    echo(f"{model.config.name}\t{model.sha256}\t{output}")
