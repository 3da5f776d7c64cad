"""``nwb-cascade infer``."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nwb_cascade.cli.raw_options import dff_method, needs_neuropil, raw_options, take_raw_options

if TYPE_CHECKING:
    from nwb_cascade.annotation.result import AnnotationResult
    from nwb_cascade.dandi.assets import Asset
    from nwb_cascade.nwb.raw import FromRaw

MATRIX_ONLY = ("variable",)
NWB_ONLY = ("series", "run_name", "spikes")
NOT_SUITE2P = (*MATRIX_ONLY, *NWB_ONLY, "imaging_rate", "scale")
MATRIX_IN_PLACE = "--in-place does not apply to {}: only NWB files can be added to in place."
NEVER_INSIDE = "--in-place does not apply to sidecars and remote files: their results go into files of their own."


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="OUT", help="File or folder of the result [default: beside FILE, or here].")
@click.option("--sidecar", is_flag=True, help="Write a small file with results, session and ROIs instead of a copy.")
@click.option("--in-place", is_flag=True, help="Add to FILE itself; a run that is killed leaves it as it was.")
@click.option("--series", help="Name, path or object id of the dF/F series, where FILE holds several.")
@click.option("--variable", help="Name of the matrix in a .mat file.")
@click.option("--imaging-rate", metavar="HZ", type=float, help="For a series or matrix that states no rate.")
@click.option("--scale", type=click.Choice(["fraction", "percent"]), help="What 0.5 or 50 % look like in FILE.")
@raw_options
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
@click.option("--spikes", flag_value="conserve", help="Discrete spikes as well, as many as the rates sum to.")
@click.option("--supported-spikes", "spikes", flag_value="supported", help="Only spikes that the rates support.")
@click.option("--report", is_flag=True, help="Write a page about the result beside it (_report.html).")
@click.option("--run-name", help="Name of the new object [default: InferredSpikeRates].")
@click.option("--overwrite", is_flag=True, help="Replace a run or copy that was made otherwise.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, with which model and why; write nothing.")
@click.option("--scratch-dir", type=click.Path(exists=True, file_okay=False), help="Folder for temporary matrices.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per FILE, in a list.")
@click.pass_context
def command(ctx: click.Context, /, files: tuple[str, ...], as_json: bool, report: bool, **options: Any) -> None:
    """Infer spike rates for dF/F traces and store them with all that made them.

    FILE is NWB (HDF5 or Zarr), .npy or .mat, an output folder of suite2p, or an address on DANDI
    (dandi://INSTANCE/DANDISET@VERSION/PATH, a web or API URL; a dandiset, folder or glob there means all its NWB
    files). By default the result is a copy beside FILE: sub-1_ophys.nwb gives sub-1_desc-spikes_ophys.nwb, and
    mouse.nwb gives mouse_spikes.nwb. Remote files are never copied: their result is a small sidecar file, by default
    in the current folder. A suite2p folder gets expected_spikes.npy. The exit status is 0 if all went well, 1 if a file
    failed (the others are done all the same), 2 if the options do not fit together.
    """
    from nwb_cascade.cli.sources import listed

    raw = take_raw_options(options)
    where = {name: options.pop(name) for name in ("output", "in_place", "sidecar")}
    sources = list(listed(files))
    jobs = _jobs([source for _, source in sources], options=options, **where)
    _check_raw([source for _, source in sources], *raw)
    if report:
        _require_report([source for _, source in sources])
    debug = bool(ctx.find_root().params.get("debug"))
    records = []
    for (file, source), job in zip(sources, jobs, strict=True):
        records.append(_attempt(file, source, job, options, raw, report=report, debug=debug))
        if not as_json and "description" in records[-1]:
            click.echo(records[-1]["description"])
    if as_json:
        click.echo(json.dumps(records, indent=1))
    ctx.exit(1 if any("error" in record for record in records) else 0)


def _jobs(
    sources: list[Any], *, options: dict[str, Any], output: str | None, in_place: bool, sidecar: bool
) -> list[dict[str, Any]]:
    """Return where the result of each source goes, as options of `annotate`; raises a usage error for what clashes."""
    from nwb_cascade.errors import InputError
    from nwb_cascade.writers.targets import shared_folder, targets_of

    local = [source for source in sources if isinstance(source, Path)]
    matrices, folders, recordings = _kinds(local)
    _check_options(matrices, folders, recordings, options)
    if (sidecar or in_place) and (bare := [*matrices, *folders]):
        why = "--sidecar does not apply to {}: it has no session to describe." if sidecar else MATRIX_IN_PLACE
        raise click.UsageError(why.format(bare[0]))
    if sidecar and in_place:
        raise click.UsageError(NEVER_INSIDE)
    if in_place and len(local) < len(sources):
        raise click.UsageError(NEVER_INSIDE)
    try:
        output = shared_folder(output, len(sources))
        named = [path for path in local if path not in folders]
        targets = iter(targets_of([] if sidecar else named, output, in_place))
    except InputError as error:
        raise click.UsageError(str(error)) from error
    return [
        {"output": output, "sidecar": True}
        if sidecar or not isinstance(source, Path)
        else {"in_place": True}
        if in_place
        else {"output": output if source in folders else next(targets)}
        for source in sources
    ]


def _kinds(paths: list[Path]) -> tuple[list[Path], list[Path], list[Path]]:
    """Tell matrices, folders of suite2p and NWB files apart."""
    from nwb_cascade.readers.suite2p import is_suite2p
    from nwb_cascade.writers.targets import is_matrix

    matrices = [path for path in paths if is_matrix(path)]
    folders = [path for path in paths if is_suite2p(path)]
    return matrices, folders, [path for path in paths if path not in matrices and path not in folders]


def _check_raw(sources: list[Any], from_raw: bool, given: dict[str, Any]) -> None:
    """Raise a usage error where options about raw fluorescence have nothing to apply to."""
    matrices, folders, _ = _kinds([source for source in sources if isinstance(source, Path)])
    if from_raw and matrices:
        raise click.UsageError(f"--from-raw does not apply to {matrices[0]}, a matrix: see nwb_cascade.dff.")
    if given and not from_raw and len(folders) < len(sources):
        raise click.UsageError(f"--{next(iter(given)).removesuffix('_s').replace('_', '-')} needs --from-raw.")
    dff_method(given)


def _require_report(sources: list[Any]) -> None:
    """Raise before long work if no page can be made about one of the results."""
    from nwb_cascade.report.page import require_library

    require_library()
    matrices, folders, _ = _kinds([source for source in sources if isinstance(source, Path)])
    for source in (*matrices, *folders):
        raise click.UsageError(f"--report does not apply to {source}, {'a matrix' if matrices else 'no NWB file'}.")


def _attempt(
    file: str,
    source: Any,
    job: dict[str, Any],
    options: dict[str, Any],
    raw: tuple[bool, dict[str, Any]],
    *,
    report: bool,
    debug: bool,
) -> dict[str, Any]:
    """Annotate one file; a failure is told in one line and kept in the record, so that the others are done."""
    from nwb_cascade.readers.registry import name_of

    name = file if isinstance(source, Exception) else name_of(source)
    try:
        if isinstance(source, Exception):
            raise source
        result = _infer(source, job, options, raw)
        page = {"report": str(_write_page(result))} if report and not result.dry_run else {}
    except Exception as error:
        if debug:
            traceback.print_exc()
        message = _one_line(error)
        click.echo(f"{name}: {message}", err=True)
        return {"path": name, "error": message, "traceback": traceback.format_exc()}
    told = [result.describe(), *(f"  report: {path}" for path in page.values())]
    return {**result.to_dict(), **page, "description": "\n".join(told)}


def _write_page(result: AnnotationResult) -> Path:
    """Write the page about a result beside it."""
    from nwb_cascade.cli.progress import progress_bar
    from nwb_cascade.report import write_report
    from nwb_cascade.writers.targets import split_name

    output = Path(result.output)
    page = output.with_name(f"{split_name(output.name)[0]}_report.html")
    with progress_bar(page.name) as progress:
        return write_report(output, page, run_name=result.object_path, progress=progress)


def _check_options(matrices: list[Path], folders: list[Path], recordings: list[Path], options: dict[str, Any]) -> None:
    """Raise a usage error for options that do not apply to the files."""
    if matrices and options["imaging_rate"] is None:
        raise click.UsageError(f"{matrices[0]} states no imaging rate: give it with --imaging-rate HZ.")
    for files, foreign, kind in (
        (matrices, NWB_ONLY, "a matrix"),
        (folders, NOT_SUITE2P, "a folder of suite2p"),
        (recordings, MATRIX_ONLY, "an NWB file"),
    ):
        for name in foreign:
            if files and options[name] is not None:
                raise click.UsageError(f"--{name.replace('_', '-')} does not apply to {files[0]}, {kind}.")


def _infer(
    source: Path | Asset, job: dict[str, Any], options: dict[str, Any], raw: tuple[bool, dict[str, Any]]
) -> AnnotationResult:
    """Annotate one file."""
    from nwb_cascade.cli.progress import progress_bar
    from nwb_cascade.readers.registry import name_of

    matrices, folders, _ = _kinds([source] if isinstance(source, Path) else [])
    foreign = NWB_ONLY if matrices else NOT_SUITE2P if folders else MATRIX_ONLY
    wanted = {name: value for name, value in options.items() if name not in foreign} | job
    with progress_bar(name_of(source).rpartition("/")[2]) as progress:
        if matrices:
            from nwb_cascade.annotation.annotate_matrix import annotate_matrix

            return annotate_matrix(matrices[0], wanted.pop("imaging_rate"), progress=progress, **wanted)
        if folders:
            from nwb_cascade.annotation.annotate_suite2p import annotate_suite2p
            from nwb_cascade.readers.suite2p import read_folder

            method = dff_method(raw[1], neuropil_factor=read_folder(folders[0]).neuropil_factor)
            needs = needs_neuropil(raw[1])
            return annotate_suite2p(folders[0], method=method, needs_neuropil=needs, progress=progress, **wanted)
        from nwb_cascade.annotation.annotate import annotate

        return annotate(source, from_raw=_from_raw(*raw), progress=progress, **wanted)


def _from_raw(from_raw: bool, given: dict[str, Any]) -> FromRaw | None:
    """How dF/F is to be computed from raw fluorescence, if it is."""
    if not from_raw:
        return None
    from nwb_cascade.nwb.raw import FromRaw

    return FromRaw(dff_method(given), needs_neuropil(given), given.get("neuropil_series"))


def _one_line(error: Exception) -> str:
    """A failure in one line; an error that no user can mend names its type."""
    from nwb_cascade.cli import USER_ERRORS

    kind = "" if isinstance(error, USER_ERRORS) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())
