"""``nwb-cascade infer``."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from nwb_cascade.annotation.result import AnnotationResult

MATRIX_ONLY = ("variable",)
NWB_ONLY = ("series", "run_name")


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", metavar="OUT", help="File or folder of the result [default: beside FILE].")
@click.option("--in-place", is_flag=True, help="Add to FILE itself; a run that is killed leaves it as it was.")
@click.option("--series", help="Name, path or object id of the dF/F series, where FILE holds several.")
@click.option("--variable", help="Name of the matrix in a .mat file.")
@click.option("--imaging-rate", metavar="HZ", type=float, help="For a series or matrix that states no rate.")
@click.option("--scale", type=click.Choice(["fraction", "percent"]), help="What 0.5 or 50 % look like in FILE.")
@click.option("--model", default="auto", show_default=True, metavar="auto|NAME|DIR", help="The model.")
@click.option("--indicator", help="Calcium indicator [default: as FILE states].")
@click.option(
    "--threshold",
    type=click.Choice(["nonnegative", "raw", "single-spike"]),
    default="nonnegative",
    show_default=True,
    help="What is done with small and negative values.",
)
@click.option("--legacy-alignment", is_flag=True, help="Values one frame early, as published by Cascade.")
@click.option("--kernel", type=click.Choice(["gaussian", "causal"]), help="Smoothing, for models that take any.")
@click.option("--smoothing", "smoothing_s", metavar="S", type=float, help="Its standard deviation in seconds.")
@click.option("--std/--no-std", "ensemble_std", default=True, show_default=True, help="Store the ensemble's deviation.")
@click.option("--run-name", help="Name of the new object [default: InferredSpikeRates].")
@click.option("--overwrite", is_flag=True, help="Replace a run or copy that was made otherwise.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, with which model and why; write nothing.")
@click.option("--scratch-dir", type=click.Path(exists=True, file_okay=False), help="Folder for temporary matrices.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per FILE, in a list.")
@click.pass_context
def command(ctx: click.Context, /, files: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Infer spike rates for dF/F traces and store them with all that made them.

    FILE is NWB (HDF5 or Zarr), .npy or .mat. By default the result is a copy beside it: sub-1_ophys.nwb gives
    sub-1_desc-spikes_ophys.nwb, and mouse.nwb gives mouse_spikes.nwb. The exit status is 0 if all went well, 1 if a
    file failed (the others are done all the same), 2 if the options do not fit together.
    """
    from nwb_cascade.annotation.targets import is_matrix, targets_of
    from nwb_cascade.errors import InputError

    output, in_place = options.pop("output"), options.pop("in_place")
    _check_options(
        [file for file in files if is_matrix(file)], [file for file in files if not is_matrix(file)], options
    )
    try:
        targets = targets_of(files, output, in_place)
    except InputError as error:
        raise click.UsageError(str(error)) from error
    debug = bool(ctx.find_root().params.get("debug"))
    records = []
    for file, target in zip(files, targets, strict=True):
        records.append(_attempt(file, None if in_place else target, options, debug=debug))
        if not as_json and "description" in records[-1]:
            click.echo(records[-1]["description"])
    if as_json:
        click.echo(json.dumps(records, indent=1))
    ctx.exit(1 if any("error" in record for record in records) else 0)


def _attempt(file: Path, target: Path | None, options: dict[str, Any], *, debug: bool) -> dict[str, Any]:
    """Annotate one file; a failure is told in one line and kept in the record, so that the others are done."""
    try:
        result = _infer(file, target, options)
    except Exception as error:
        if debug:
            traceback.print_exc()
        message = _one_line(error)
        click.echo(f"{file}: {message}", err=True)
        return {"path": str(file), "error": message, "traceback": traceback.format_exc()}
    return {**result.to_dict(), "description": result.describe()}


def _check_options(matrices: list[Path], recordings: list[Path], options: dict[str, Any]) -> None:
    """Raise a usage error for options that do not apply to the files."""
    if matrices and options["imaging_rate"] is None:
        raise click.UsageError(f"{matrices[0]} states no imaging rate: give it with --imaging-rate HZ.")
    for files, foreign, kind in ((matrices, NWB_ONLY, "a matrix"), (recordings, MATRIX_ONLY, "an NWB file")):
        for name in foreign:
            if files and options[name] is not None:
                raise click.UsageError(f"--{name.replace('_', '-')} does not apply to {files[0]}, {kind}.")


def _infer(file: Path, target: Path | None, options: dict[str, Any]) -> AnnotationResult:
    """Annotate one file, into the target or in place."""
    from nwb_cascade.annotation.targets import is_matrix
    from nwb_cascade.cli.progress import progress_bar

    foreign = NWB_ONLY if is_matrix(file) else MATRIX_ONLY
    wanted = {name: value for name, value in options.items() if name not in foreign}
    with progress_bar(file.name) as report:
        if is_matrix(file):
            from nwb_cascade.annotation.annotate_matrix import annotate_matrix

            return annotate_matrix(file, wanted.pop("imaging_rate"), output=target, progress=report, **wanted)
        from nwb_cascade.annotation.annotate import annotate

        return annotate(file, output=target, in_place=target is None, progress=report, **wanted)


def _one_line(error: Exception) -> str:
    """A failure in one line; an error that no user can mend names its type."""
    from nwb_cascade.cli import USER_ERRORS

    kind = "" if isinstance(error, USER_ERRORS) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())
