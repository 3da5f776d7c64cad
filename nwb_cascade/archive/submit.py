"""Submit: a batch script for SLURM, for sites where no dask scheduler may run."""

from __future__ import annotations

import hashlib
import math
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from nwb_cascade.archive.job import API_CALLS, ONE_THREAD
from nwb_cascade.archive.ledger import LOGS_FOLDER, Ledger
from nwb_cascade.archive.manifest import Manifest, write_manifest
from nwb_cascade.core.wording import counted
from nwb_cascade.errors import InputError
from nwb_cascade.files.kinds import BATCH_SCRIPT, require_kind
from nwb_cascade.files.private import make_private

MAX_ARRAY_SIZE = 1001  # SLURM's default of MaxArraySize; the largest index is one less
SCRIPT = Template("""#!/bin/bash
# Written by 'nwb-cascade archive submit'; submit it with: $submit
#SBATCH --job-name=nwb-cascade
#SBATCH --array=0-$last%$at_once
#SBATCH --cpus-per-task=1
#SBATCH --mem=$memory
#SBATCH --time=$time
#SBATCH --output=$log
$options
set -u
export $threads
# $jobs in chunks of $chunk; one that is done already, or that another task has, is left alone
srun --ntasks=1 $command \\
  --index $$((SLURM_ARRAY_TASK_ID * $chunk)) --count $chunk
""")


@dataclass(frozen=True)
class ArrayOptions:
    """What a script asks of SLURM, and how its tasks do their jobs.

    Parameters
    ----------
    memory, time : str
        Of one task, as SLURM takes them.
    at_once : int
        Most tasks at the same time.
    chunk : int, optional
        Jobs per task, one after the other; by default as few as the site's limit on arrays allows.
    max_array_size : int
        ``MaxArraySize`` of the site (``scontrol show config``).
    options : sequence of str
        Further options of sbatch, such as ``--partition=short``.
    program : sequence of str, optional
        Command that stands for ``nwb-cascade``; by default this Python.
    api_calls : int
        Most requests to the archive's API at once, of all tasks together.
    retry_failed : bool
        Take up jobs that failed.
    """

    memory: str = "4G"
    time: str = "04:00:00"
    at_once: int = 50
    chunk: int | None = None
    max_array_size: int = MAX_ARRAY_SIZE
    options: Sequence[str] = ()
    program: Sequence[str] | None = None
    api_calls: int = API_CALLS
    retry_failed: bool = False


@dataclass(frozen=True)
class ArrayScript:
    """A batch script, how it is submitted, and how many array tasks it has."""

    path: Path
    submit: tuple[str, ...]
    n_tasks: int
    chunk: int


@dataclass(frozen=True)
class Left:
    """What is left to do: the manifest that lists it, how many jobs those are, how many are done or have failed."""

    manifest: Path
    n_jobs: int
    n_done: int
    n_failed: int


def write_left(manifest: Manifest, ledger: Ledger, *, retry_failed: bool = False) -> Left:
    """Write a manifest of the jobs that are neither done nor, unless they are wanted, failed.

    It lies in the output folder and is called by its jobs, so that no array that still waits finds others in it. If
    all jobs are left, it is the manifest itself.
    """
    counts: Counter[str] = Counter()
    jobs = []
    for job in manifest.jobs():
        state = ledger.entry(job.id).state
        counts[state] += 1
        if state != "done" and (retry_failed or state != "failed"):
            jobs.append(job)
    path = manifest.path.resolve()
    if 0 < len(jobs) < counts.total():
        digest = hashlib.sha256("".join(job.id for job in jobs).encode()).hexdigest()
        path = write_manifest(ledger.folder.resolve() / f"left-{digest[:8]}.jsonl", manifest.header, jobs)
    return Left(path, len(jobs), counts["done"], 0 if retry_failed else counts["failed"])


def write_slurm_script(
    path: Path, manifest: Path, out: Path, n_jobs: int, wanted: ArrayOptions | None = None
) -> ArrayScript:
    """Write an sbatch array script whose tasks call ``nwb-cascade archive run-one``.

    Parameters
    ----------
    path : pathlib.Path
        The script.
    manifest, out : pathlib.Path
        The jobs and the folder of the results; both must be seen by the nodes.
    n_jobs : int
        Jobs of the manifest.
    wanted : ArrayOptions, optional
        What the script asks for.

    Raises
    ------
    InputError
        If there is no job, the script's name is taken by another file, or the chunks would be more than the limit on
        arrays allows.
    """
    wanted = wanted or ArrayOptions()
    if n_jobs < 1:
        raise InputError(f"Expected at least one job in {manifest}, it has none.")
    n_tasks, chunk = _tasks(n_jobs, wanted)
    require_kind(path, BATCH_SCRIPT)
    logs = out / LOGS_FOLDER
    make_private(logs)
    submit = ("sbatch", str(path))
    run = [*(wanted.program or default_program()), "archive", "run-one", str(manifest), "--out", str(out)]
    run += ["--api-calls", str(wanted.api_calls), *(["--retry-failed"] if wanted.retry_failed else [])]
    text = SCRIPT.substitute(
        submit=shlex.join(submit),
        last=n_tasks - 1,
        at_once=wanted.at_once,
        memory=wanted.memory,
        time=wanted.time,
        log=_quoted_path(logs / "%A_%a.log"),
        options="\n".join(f"#SBATCH {option}" for option in wanted.options),
        threads=" ".join(f"{name}={value}" for name, value in ONE_THREAD.items()),
        jobs=counted(n_jobs, "job"),
        chunk=chunk,
        command=shlex.join(run),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(line for line in text.splitlines() if line) + "\n", encoding="utf-8")
    path.chmod(0o755)
    return ArrayScript(path, submit, n_tasks, chunk)


def _tasks(n_jobs: int, wanted: ArrayOptions) -> tuple[int, int]:
    """Number of array tasks, and jobs of each; raises InputError if the site does not allow so many."""
    most = wanted.max_array_size - 1
    chunk = math.ceil(n_jobs / most) if wanted.chunk is None else wanted.chunk
    n_tasks = math.ceil(n_jobs / chunk)
    if n_tasks > most:
        raise InputError(
            f"Expected at most {most} array tasks, {counted(n_jobs, 'job')} in chunks of {chunk} make {n_tasks}: "
            f"take chunks of at least {math.ceil(n_jobs / most)}."
        )
    return n_tasks, chunk


def default_program() -> list[str]:
    """Return the command that runs this package with this Python."""
    return [sys.executable, "-c", "from nwb_cascade.cli import main; main(prog_name='nwb-cascade')"]


def _quoted_path(path: Path) -> str:
    return f'"{path}"' if " " in str(path) else str(path)
