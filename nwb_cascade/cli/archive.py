"""``nwb-cascade archive``: whole dandisets and folders, on one machine or many."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nwb_cascade.cli.archive_arguments import api_calls_option, manifest_argument, out_option, with_cache_options
from nwb_cascade.cli.archive_dandiset import collect_command, upload_command
from nwb_cascade.cli.command import Group
from nwb_cascade.cli.options import inference_options, take_inference
from nwb_cascade.cli.outputs import OutputFile
from nwb_cascade.cli.terminal import echo
from nwb_cascade.core.wording import counted, proposed
from nwb_cascade.files.kinds import BATCH_SCRIPT, MANIFEST

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from nwb_cascade.archive.job import Settings
    from nwb_cascade.archive.status import Status


@click.group("archive", cls=Group)
def command() -> None:
    """Infer spike rates for whole dandisets and folders: plan, run, watch, collect.

    A manifest lists the jobs; an output folder holds what became of them. Both are plain files: a run may be killed
    and repeated, and several may work on one manifest at the same time.
    """


@command.command("plan")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("-o", "--output", "path", required=True, type=OutputFile(MANIFEST), help="Manifest.")
@click.option("--instance", help="DANDI instance of SOURCEs that name none.")
@inference_options
@click.option("--readers", default=4, show_default=True, type=click.IntRange(min=1), help="Headers read at once.")
@with_cache_options
def plan_command(
    sources: tuple[str, ...],
    path: Path,
    instance: str | None,
    readers: int,
    cache_dir: str | None,
    cache_size: float | None,
    **values: Any,
) -> None:
    """Look at the header of every recording that SOURCEs mean, and write a manifest with one job for each.

    SOURCE is a folder, a glob, a file, or an address on DANDI: 000402, 000402@0.230307.2132/sub-1*/*, a URL.
    """
    from nwb_cascade.archive.plan import plan
    from nwb_cascade.archive.status import grouped
    from nwb_cascade.cli.progress import progress_bar

    options, unasked = take_inference(values)
    if unasked:
        raise click.UsageError(f"{unasked} needs --from-raw.")
    if Path(str(options.model)).is_dir():
        options = replace(options, model=Path(str(options.model)).resolve())
    with progress_bar("Planning") as progress:
        summary = plan(
            sources,
            path,
            options,
            instance=instance,
            readers=readers,
            streaming=_streaming(cache_dir, cache_size),
            progress=progress,
        )
    echo(f"{counted(summary.n_jobs, 'job')} in {path}, {counted(len(summary.skipped), 'file')} without one.")
    for group in grouped(("", one.reason, one.address) for one in summary.skipped):
        echo(f"  {group.in_words('skipped')}")


@command.command("run")
@manifest_argument
@out_option
@click.option("--workers", type=click.IntRange(min=1), help="Processes, or batch jobs [default: one per processor].")
@click.option("--memory-per-worker", "memory", default="4GiB", show_default=True, help="One that takes more restarts.")
@click.option("--scheduler", metavar="ADDRESS", help="Use a dask cluster that runs already, such as tls://host:8786.")
@click.option("--no-tls", is_flag=True, help="Take a --scheduler as whose owner whoever reaches it can run code.")
@click.option("--jobqueue", metavar="SYSTEM", help="Start workers as jobs of slurm, sge, pbs, lsf, ...")
@click.option(
    "--interface",
    metavar="NAME",
    help="Network that scheduler and batch jobs use, such as ib0 [default: the one that leads out].",
)
@click.option(
    "--jobqueue-option",
    "batch_options",
    metavar="NAME=VALUE",
    multiple=True,
    help="Such as queue=gpu, walltime=4:00:00; lists as JSON.",
)
@click.option(
    "--wait-for-workers",
    default=24.0,
    show_default=True,
    metavar="HOURS",
    type=click.FloatRange(min=0, min_open=True),
    help="Stop when there has been none for so long; batch jobs may wait in a queue.",
)
@api_calls_option
@click.option("--retry-failed", is_flag=True, help="Take up jobs that failed.")
@click.option("--dashboard", metavar="HOST:PORT", default="127.0.0.1:0", help="Address of dask's dashboard.")
@with_cache_options
def run_command(manifest: Path, out: Path, **options: Any) -> None:
    """Do the jobs of MANIFEST on a dask cluster; run it again to go on after any interruption.

    Exit status 0 if all jobs are done, 3 if some failed, 1 if the run had to stop.
    """
    from nwb_cascade.archive.job import output_problem
    from nwb_cascade.archive.ledger import Ledger
    from nwb_cascade.archive.manifest import Manifest
    from nwb_cascade.archive.run import run_manifest
    from nwb_cascade.cli.archive_progress import run_progress

    if options["scheduler"] and options["jobqueue"]:
        raise click.UsageError("Give either --scheduler or --jobqueue.")
    for option, wanted in (("no_tls", "scheduler"), ("interface", "jobqueue")):
        if options[option] and not options[wanted]:
            raise click.UsageError(f"--{option.replace('_', '-')} needs --{wanted}.")
    plan = Manifest(manifest)
    plan.count()  # checks every line before anything is started
    _prepare(Ledger(out))
    if problem := output_problem(out):
        raise PermissionError(problem)
    settings, patience_s = _settings(out, options), 3600 * options.pop("wait_for_workers")
    with asked_cluster(out, **options) as client, run_progress(client) as progress:
        tally = run_manifest(client, plan, settings, progress=progress, patience_s=patience_s)
    failed = tally.failed + tally.before_failed
    echo(f"{tally.done + tally.before_done} of {counted(tally.total, 'job')} done, {failed} failed; results in {out}.")
    if failed:
        echo(f"See why: {proposed('archive', 'status', manifest, '--out', out)}", err=True)
        raise SystemExit(3)


@command.command("run-one")
@manifest_argument
@out_option
@click.option("--index", type=click.IntRange(min=0), help="Position of the job, the first is 0.")
@click.option("--count", default=1, show_default=True, type=click.IntRange(min=1), help="So many jobs from there.")
@click.option("--job", "job_name", metavar="ID", help="Name of the job.")
@api_calls_option
@click.option("--retry-failed", is_flag=True, help="Take it up even if it failed.")
@with_cache_options
def run_one_command(
    manifest: Path, out: Path, index: int | None, count: int, job_name: str | None, **options: Any
) -> None:
    """Do one job of MANIFEST, or some in a row, in this process; what an array of batch jobs calls."""
    from nwb_cascade.archive.job import perform
    from nwb_cascade.archive.ledger import Ledger
    from nwb_cascade.archive.manifest import Manifest

    if (index is None) == (job_name is None):
        raise click.UsageError("Give either --index N or --job ID.")
    plan = Manifest(manifest)
    jobs = [plan.find(job_name)] if job_name is not None else plan.slice(index or 0, count)
    _prepare(Ledger(out))
    settings = _settings(out, options)
    outcomes = []
    for job in jobs:
        outcomes.append(perform(job, settings))
        cause = f": {outcomes[-1].cause}" if outcomes[-1].cause else ""
        echo(f"{job.id} {outcomes[-1].status} {job.address}{cause}")
        if outcomes[-1].status == "halted":
            raise SystemExit(1)
    if any(outcome.status == "failed" for outcome in outcomes):
        raise SystemExit(3)


@command.command("status")
@manifest_argument
@out_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status_command(manifest: Path, out: Path, as_json: bool) -> None:
    """Say how the jobs of MANIFEST stand, and why some failed."""
    from nwb_cascade.archive.ledger import Ledger
    from nwb_cascade.archive.manifest import Manifest
    from nwb_cascade.archive.status import status_of

    plan, ledger = Manifest(manifest), Ledger(out)
    if out.exists():
        ledger.require()
    status = status_of(plan, ledger)
    if as_json:
        echo(json.dumps(status.to_dict(), indent=1))
        return
    _print_status(status)


def _print_status(status: Status) -> None:
    counts = ", ".join(f"{count} {state}" for state, count in status.counts.items() if count)
    echo(
        f"{counted(status.total, 'job')}: {counts or 'none'}; {counted(status.n_skipped, 'file')} skipped by the plan."
    )
    if status.per_second and status.seconds_left:
        echo(f"{60 * status.per_second:.1f} jobs per minute lately, about {status.seconds_left / 60:.0f} min left.")
    for group in status.failures:
        echo(f"  {group.in_words('failed')}")


def _prepare(ledger: Any) -> None:
    """Make the output folder, with a sentence if that is not possible."""
    try:
        ledger.prepare()
    except PermissionError as error:
        raise PermissionError(
            f"Cannot write in {ledger.folder}: {error.strerror}. Change its permissions or name another folder."
        ) from error


def _settings(out: Path, options: dict[str, Any]) -> Settings:
    """Take how jobs are to be done out of the options."""
    from nwb_cascade.archive.job import Settings

    streaming = _streaming(options.pop("cache_dir"), options.pop("cache_size"))
    return Settings(
        str(out.resolve()), options.pop("retry_failed"), api_calls=options.pop("api_calls"), streaming=streaming
    )


def _streaming(cache_dir: str | None, cache_size: float | None) -> dict[str, Any]:
    """Settings of streams that were given."""
    found: dict[str, Any] = {} if cache_dir is None else {"cache_dir": cache_dir}
    return found if cache_size is None else {**found, "cache_limit_bytes": int(cache_size * 1e9)}


def asked_cluster(
    out: Path,
    *,
    scheduler: str | None,
    jobqueue: str | None,
    workers: int | None,
    batch_options: tuple[str, ...],
    no_tls: bool,
    interface: str | None,
    **common: Any,
) -> AbstractContextManager[Any]:
    """The cluster that the options mean; ``common`` to those that are started are ``memory`` and ``dashboard``."""
    import os

    from nwb_cascade.archive.batch import batch_cluster
    from nwb_cascade.archive.cluster import existing_cluster, local_cluster
    from nwb_cascade.archive.ledger import LOGS_FOLDER

    if scheduler:
        return existing_cluster(scheduler, encrypted=not no_tls)
    logs = out.resolve() / LOGS_FOLDER
    if jobqueue:
        options = {**_network(interface), **dict(map(_named_value, batch_options))}
        return batch_cluster(jobqueue, workers or 1, logs=logs, options=options, **common)
    return local_cluster(workers or os.cpu_count() or 1, logs=logs, **common)


def _network(interface: str | None) -> dict[str, Any]:
    """Arguments of dask-jobqueue that name the network; without one the scheduler listens on that of the machine."""
    from nwb_cascade.archive.batch import default_interface

    if interface:
        return {"interface": interface, "scheduler_options": {"interface": interface}}
    if (found := default_interface()) is None:
        echo("The scheduler listens on every network of this machine, with TLS: --interface names one.", err=True)
        return {}
    return {"scheduler_options": {"interface": found}}


def _named_value(option: str) -> tuple[str, Any]:
    """Split NAME=VALUE; a value is JSON, else text."""
    name, sign, text = option.partition("=")
    if not sign:
        raise click.UsageError(f"Expected NAME=VALUE for --jobqueue-option, received {option}.")
    try:
        return name, json.loads(text)
    except ValueError:
        return name, text


@command.command("submit")
@manifest_argument
@out_option
@click.option("--slurm", is_flag=True, required=True, help="Write a script for SLURM (the only system so far).")
@click.option("-o", "--output", "script", type=OutputFile(BATCH_SCRIPT), help="[default: OUT/slurm.sh]")
@click.option("--memory", default="4G", show_default=True, help="Of one task.")
@click.option("--time", default="04:00:00", show_default=True, help="Of one task.")
@click.option("--at-once", default=50, show_default=True, type=click.IntRange(min=1), help="Most tasks at once.")
@click.option("--chunk", type=click.IntRange(min=1), help="Jobs per task [default: as few as the site allows].")
@click.option("--max-array-size", default=1001, show_default=True, type=click.IntRange(min=2), help="Of the site.")
@click.option("--sbatch-option", "options", multiple=True, metavar="OPTION", help="Such as --partition=short.")
@api_calls_option
@click.option("--retry-failed", is_flag=True, help="Take up jobs that failed.")
@click.option("--now", is_flag=True, help="Call sbatch as well.")
def submit_command(manifest: Path, out: Path, slurm: bool, script: Path | None, now: bool, **options: Any) -> None:
    """Write an array script that does what is left of MANIFEST as batch jobs, and say how to submit it."""
    import subprocess

    from nwb_cascade.archive.ledger import Ledger
    from nwb_cascade.archive.manifest import Manifest
    from nwb_cascade.archive.submit import ArrayOptions, write_left, write_slurm_script

    plan, wanted = Manifest(manifest), ArrayOptions(**options)
    _prepare(Ledger(out))
    left = write_left(plan, Ledger(out), retry_failed=wanted.retry_failed)
    others = [f"{left.n_done} done already"] if left.n_done else []
    others += [f"{left.n_failed} failed (--retry-failed takes them up)"] if left.n_failed else []
    if others and not left.n_jobs:
        echo(f"No job of {manifest} is left: {', '.join(others)}.")
        return
    out = out.resolve()
    batch = write_slurm_script(script or out / "slurm.sh", left.manifest, out, left.n_jobs, wanted)
    jobs, tasks = counted(left.n_jobs, "job"), counted(batch.n_tasks, "task")
    echo("; ".join([f"{batch.path}: {jobs} in {tasks}, {batch.chunk} each at most", *others]) + ".")
    if not now:
        echo(f"Submit it with: {' '.join(batch.submit)}")
        return
    try:
        run = subprocess.run(batch.submit, check=False, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise FileNotFoundError("There is no sbatch here: submit the script on a machine that has SLURM.") from error
    echo((run.stdout + run.stderr).strip())
    if run.returncode:
        raise SystemExit(1)


for further in (collect_command, upload_command):
    command.add_command(further)
