"""``nwb-cascade models``: install, list and check models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nwb_cascade.cli.command import Group
from nwb_cascade.cli.outputs import OutputFile
from nwb_cascade.cli.terminal import echo
from nwb_cascade.core.wording import counted, listed, natural_key, ranged
from nwb_cascade.files.kinds import EXPORTED_MODEL

if TYPE_CHECKING:
    from nwb_cascade.models.bundle import Model
    from nwb_cascade.models.library import InstalledModel

COLUMNS = ("Name", "Rate (Hz)", "Smoothing", "Noise levels", "Networks", "Indicators", "From")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace another model of that name.")
registry_option = click.option(
    "--registry",
    metavar="FILE|URL",
    help="Registry of published models [default: $NWB_CASCADE_REGISTRY, else Cascade's own].",
)


@click.group("models", cls=Group)
def command() -> None:
    """Install, list and check models.

    Models are installed in $NWB_CASCADE_MODELS or, by default, in the user's folder for application data.
    """


@command.command("import")
@click.argument("source", metavar="DIR|ZIP", type=click.Path(exists=True, path_type=Path))
@click.option("--name", help="Install by this name [default: the one in the model's config.yaml].")
@overwrite_option
def import_(source: Path, name: str | None, overwrite: bool) -> None:
    """Convert a published Cascade model, a folder or its zip archive, and install it."""
    from nwb_cascade.cli.progress import progress_bar
    from nwb_cascade.models.import_cascade import import_cascade

    with progress_bar(f"Reading {source.name}") as progress:
        model = import_cascade(source, name=name, overwrite=overwrite, progress=progress)
    _report_installed(model)


@command.command("fetch")
@click.argument("name")
@registry_option
@overwrite_option
def fetch(name: str, registry: str | None, overwrite: bool) -> None:
    """Download a published model and install it; run it again to resume an interrupted download."""
    from nwb_cascade.cli.progress import progress_bar
    from nwb_cascade.models.registry import fetch_model

    with progress_bar(f"Downloading {name} (bytes)") as progress:
        model = fetch_model(name, registry=registry, overwrite=overwrite, progress=progress)
    _report_installed(model)


@command.command("available")
@registry_option
@as_json
def available(registry: str | None, as_json: bool) -> None:
    """List the models that can be fetched, by the registry."""
    from nwb_cascade.cli.tables import print_table
    from nwb_cascade.models.published_names import parse_model_name
    from nwb_cascade.models.registry import read_registry

    entries = sorted(read_registry(registry).values(), key=lambda entry: natural_key(entry.name))
    if as_json:
        echo(json.dumps([vars(entry) for entry in entries], indent=1))
        return
    facts = [(entry, parse_model_name(entry.name)) for entry in entries]
    rows = [(entry.name, _spell(fact.model_rate), _smoothing(fact.smoothing_s, fact.causal)) for entry, fact in facts]
    print_table(("Name", "Rate (Hz)", "Smoothing"), rows)


@command.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List the installed models."""
    from nwb_cascade.cli.tables import print_table
    from nwb_cascade.models.folders import user_models_folder
    from nwb_cascade.models.library import list_installed

    installed = sorted(list_installed(), key=lambda entry: natural_key(entry.name))
    if as_json:
        echo(json.dumps([_summary(entry) for entry in installed], indent=1))
    elif installed:
        print_table(COLUMNS, [_row(entry) for entry in installed])
    else:
        echo(f"No models are installed in {user_models_folder()}.")


@command.command("show")
@click.argument("name", metavar="NAME|DIR")
@as_json
def show(name: str, as_json: bool) -> None:
    """Show one model's configuration and where its files are."""
    from nwb_cascade.models.library import load_model

    model = load_model(name)
    if as_json:
        facts = {**json.loads(model.config.to_json()), "sha256": model.sha256, "path": str(model.path)}
        echo(json.dumps(facts, indent=1, sort_keys=True))
        return
    facts = _facts(model)
    width = max(map(len, facts))
    for key, value in facts.items():
        echo(f"{key:<{width}}  {value}")


@command.command("export")
@click.argument("name", metavar="NAME|DIR")
@click.argument("output", metavar="FILE.onnx", type=OutputFile(EXPORTED_MODEL))
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
def export(name: str, output: Path, overwrite: bool) -> None:
    """Write a model as an ONNX file, for Bonsai, MATLAB, browsers and others; it is compared with the engine first."""
    from nwb_cascade.models.export import export_onnx
    from nwb_cascade.models.library import load_model

    difference = export_onnx(load_model(name), output, overwrite=overwrite)
    echo(f"{output} gives the numbers of the engine to {difference:.1g} expected spikes per frame.")


@command.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME|DIR]...")
def verify(names: tuple[str, ...]) -> None:
    """Check files of models, all installed ones by default, against their hashes; exit status 1 if one fails."""
    from nwb_cascade.models.library import list_installed

    chosen = names or tuple(entry.name for entry in list_installed())
    sound = [_verify(name) for name in chosen]
    if not all(sound):
        raise SystemExit(1)


@command.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(name: str, yes: bool) -> None:
    """Delete an installed model."""
    from nwb_cascade.models.library import remove_model

    if not yes:
        click.confirm(f"Delete the model {name}?", abort=True)
    echo(f"Removed {remove_model(name)}")


def _verify(name: str) -> bool:
    """Load one model, say on one line how that went and return whether it is sound."""
    from nwb_cascade.models.library import load_model

    try:
        model = load_model(name)
    except (ValueError, LookupError, OSError) as error:
        echo(f"FAILED  {name}: {error}")
        return False
    echo(f"ok      {name}  sha256 {model.sha256}")
    return True


def _report_installed(model: Model) -> None:
    config = model.config
    for sentence in config.extra.get("name_disagrees", []):
        echo(f"Note: {sentence} The configuration is used.", err=True)
    stated = config.extra.get("published_config", {}).get("ensemble_size", config.ensemble_size)
    if stated != config.ensemble_size:
        echo(
            f"Note: {counted(config.ensemble_size, 'network')} per noise level, its configuration says {stated}.",
            err=True,
        )
    if lacking := config.extra.get("levels_without_networks"):
        echo(f"Note: no networks for the noise levels {listed(lacking)} that its configuration lists.", err=True)
    echo(f"{config.name} is installed in {model.path} (sha256 {model.sha256})")


def _row(entry: InstalledModel) -> tuple[str, ...]:
    from nwb_cascade.architectures.registry import architecture_of

    config = entry.config
    if config is None:
        return (entry.name, "", "", "", "", f"damaged: {entry.problem}", entry.origin)
    per_level = " per level" if architecture_of(config).network_per_level else ""
    return (
        entry.name,
        ranged(*config.model_rates_hz),
        _smoothing(config.smoothing_s, config.kernel == "causal"),
        listed(config.noise_levels),
        f"{config.ensemble_size}{per_level}",
        ", ".join(config.indicators),
        entry.origin,
    )


def _summary(entry: InstalledModel) -> dict[str, Any]:
    config = {} if entry.config is None else json.loads(entry.config.to_json())
    config.pop("extra", None)
    return {**config, "name": entry.name, "path": str(entry.path), "origin": entry.origin, "problem": entry.problem}


def _facts(model: Model) -> dict[str, str]:
    config = model.config
    return {
        "name": config.name,
        "version": config.version,
        "architecture": config.architecture,
        "rate": f"{ranged(*config.model_rates_hz)} Hz",
        "smoothing": _smoothing(config.smoothing_s, config.kernel == "causal"),
        "noise levels": listed(config.noise_levels),
        "ensemble size": str(config.ensemble_size),
        "window": f"{config.window_size} frames, {config.before_frames} before and {config.after_frames} after",
        "indicators": ", ".join(config.indicators) or "unknown",
        "trained on": ", ".join(config.training_datasets) or "unknown",
        "licence": config.licence,
        "citation": config.citation,
        "weights": f"sha256 {model.sha256}",
        "path": str(model.path),
    }


def _smoothing(smoothing_s: float | None, causal: bool) -> str:
    if not smoothing_s:
        return "" if smoothing_s is None else "none"
    return f"{1000 * smoothing_s:g} ms{' causal' if causal else ''}"


def _spell(number: float | None) -> str:
    return "" if number is None else f"{number:g}"
