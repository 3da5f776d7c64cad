"""``nwb-cascade infer``."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nwb_cascade.cli.command import Command
from nwb_cascade.cli.failures import in_one_line, of_file
from nwb_cascade.cli.options import inference_options, output_options, take_inference, take_output
from nwb_cascade.cli.terminal import echo

if TYPE_CHECKING:
    from nwb_cascade.annotation.annotate import AnnotationResult
    from nwb_cascade.dandi.assets import Asset
    from nwb_cascade.options import InferenceOptions, OutputOptions


@click.command(cls=Command)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@output_options
@inference_options
@click.option("--report", is_flag=True, help="Write a page about the result beside it (_report.html).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per FILE, or series, in a list.")
@click.pass_context
def command(ctx: click.Context, /, files: tuple[str, ...], as_json: bool, report: bool, **values: Any) -> None:
    """Infer spike rates for dF/F traces and store them with all that made them.

    FILE is NWB (HDF5 or Zarr), .npy or .mat, an output folder of suite2p or Minian, results of CaImAn (.hdf5), EXTRACT
    (.mat) or Inscopix (.csv), or an address on DANDI
    (dandi://INSTANCE/DANDISET@VERSION/PATH, a web or API URL; a dandiset, folder or glob there means all its NWB
    files). By default the result is a copy beside FILE: sub-1_ophys.nwb gives sub-1_desc-spikes_ophys.nwb, and
    mouse.nwb gives mouse_spikes.nwb. Remote files are never copied: their result is a small sidecar file, by default
    in the current folder. A suite2p folder gets expected_spikes.npy. The exit status is 0 if all went well, 1 if a file
    failed (the others are done all the same), 2 if the options do not fit together.
    """
    from nwb_cascade.cli.named_files import listed
    from nwb_cascade.cli.start import load_readers

    load_readers()
    options, unasked = take_inference(values)
    named = list(listed(files))
    where = _output([source for _, source in named if not isinstance(source, Exception)], options, unasked, values)
    if report:
        from nwb_cascade.report.page import require_library

        require_library()
    debug = bool(ctx.find_root().params.get("debug"))
    records: list[dict[str, Any]] = []
    planned: dict[str, str] = {}
    for file, source in named:
        if isinstance(source, Exception):
            new = [_failure(file, source, debug=debug)]
        else:
            new = _attempt(source, options, where, planned, report=report, debug=debug)
        for record in (one for one in new if "error" in one):
            record["error"] = _carrying(record["error"], where, report=report, as_json=as_json)
            echo(of_file(record["path"], record["error"]), err=True)
        planned |= {record["output"]: record["path"] for record in new if record.get("dry_run")}
        records += new
        for record in new if not as_json else ():
            if "description" in record:
                echo(record["description"])
    if as_json:
        echo(json.dumps(records, indent=1))
    ctx.exit(1 if any("error" in record for record in records) else 0)


def _output(
    sources: list[Path | Asset], options: InferenceOptions, unasked: str, values: dict[str, Any]
) -> OutputOptions:
    """Return where the results go; raises a usage error where options do not fit together."""
    from nwb_cascade.errors import InputError
    from nwb_cascade.readers.registry import reader_of
    from nwb_cascade.writers.registry import output_of

    if unasked and not all(reader_of(source).is_raw for source in sources):
        raise click.UsageError(f"{unasked} needs --from-raw.")
    try:
        return output_of(sources, options, take_output(values))
    except InputError as error:
        raise click.UsageError(str(error)) from error


def _carrying(message: str, where: OutputOptions, *, report: bool, as_json: bool) -> str:
    """Return a message whose proposed command of this kind has all options that were given, but where results go."""
    from nwb_cascade.core.wording import proposed
    from nwb_cascade.options import OutputOptions, given, words_of

    elsewhere = ("output", "sidecar", "in_place")
    parts = [words_of(OutputOptions(**{one.name: value})) for one, value in given(where) if one.name not in elsewhere]
    parts += [("--report",)] * report + [("--json",)] * as_json
    more = [word for part in parts if part and f" {part[0]}" not in message for word in part]
    return message.replace(proposed("infer"), proposed("infer", *more))


def _attempt(
    source: Path | Asset,
    options: InferenceOptions,
    where: OutputOptions,
    planned: dict[str, str],
    *,
    report: bool,
    debug: bool,
) -> list[dict[str, Any]]:
    """Annotate one source; a failure is told in one line and kept in the record, so that the others are done."""
    from nwb_cascade.annotation.annotate import annotate_source
    from nwb_cascade.cli.progress import progress_bar
    from nwb_cascade.readers.sources import name_of

    name = name_of(source)
    try:
        with progress_bar(name.rpartition("/")[2]) as progress:
            results = annotate_source(source, options, where, planned=planned, progress=progress)
        outputs = [result.output for result in results]
        pages = [
            _write_page(one, outputs.count(one.output) > 1) if report and not one.dry_run else None for one in results
        ]
    except Exception as error:
        return [_failure(name, error, debug=debug)]
    return [_told(result, page) for result, page in zip(results, pages, strict=True)]


def _told(result: AnnotationResult, page: Path | None) -> dict[str, Any]:
    """Return the record of a result, with the words about it."""
    more = {} if page is None else {"report": str(page)}
    told = [result.describe(), *(f"  report: {path}" for path in more.values())]
    return {**result.to_dict(), **more, "description": "\n".join(told)}


def _failure(name: str, error: Exception, *, debug: bool) -> dict[str, Any]:
    """Return the record of a failure, in one line."""
    if debug:
        traceback.print_exception(error)
    return {"path": name, "error": in_one_line(error), "traceback": "".join(traceback.format_exception(error))}


def _write_page(result: AnnotationResult, has_others: bool) -> Path:
    """Write the page about a result beside it; where its file holds others, its name tells which."""
    from nwb_cascade.cli.progress import progress_bar
    from nwb_cascade.report import write_report
    from nwb_cascade.writers.targets import split_name

    output = Path(result.output)
    run = f"_{result.run_name}" if has_others else ""
    page = output.with_name(f"{split_name(output.name)[0]}{run}_report.html")
    with progress_bar(page.name) as progress:
        return write_report(output, page, run_name=result.object_path, progress=progress)
