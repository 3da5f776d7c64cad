"""Submit: a batch script for SLURM, for sites where no dask scheduler may run."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from nwb_cascade.archive.job import API_CALLS
from nwb_cascade.archive.ledger import LOGS_FOLDER
from nwb_cascade.core.wording import counted
from nwb_cascade.errors import InputError

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
export TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 OMP_NUM_THREADS=1 TF_CPP_MIN_LOG_LEVEL=3
# $n_jobs jobs in chunks of $chunk; one that is done already, or that another task has, is left alone
srun --ntasks=1 $command \\
  --index $$((SLURM_ARRAY_TASK_ID * $chunk)) --count $chunk
""")


@dataclass(frozen=True)
class Batch:
    """A batch script, how it is submitted, and how many array tasks it has."""

    path: Path
    submit: tuple[str, ...]
    n_tasks: int
    chunk: int


def write_slurm_script(
    path: Path,
    manifest: Path,
    out: Path,
    n_jobs: int,
    *,
    memory: str = "4G",
    time: str = "04:00:00",
    at_once: int = 50,
    chunk: int | None = None,
    max_array_size: int = MAX_ARRAY_SIZE,
    options: Sequence[str] = (),
    program: Sequence[str] | None = None,
    api_calls: int = API_CALLS,
    retry_failed: bool = False,
) -> Batch:
    """Write an sbatch array script whose tasks call ``nwb-cascade archive run-one``.

    Parameters
    ----------
    path : pathlib.Path
        The script.
    manifest, out : pathlib.Path
        The jobs and the folder of the results; both must be seen by the nodes.
    n_jobs : int
        Jobs of the manifest.
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

    Raises
    ------
    InputError
        If there is no job, or the chunks would be more than the limit on arrays allows.
    """
    if n_jobs < 1:
        raise InputError(f"Expected at least one job in {manifest}, it has none.")
    most = max_array_size - 1
    chunk = math.ceil(n_jobs / most) if chunk is None else chunk
    n_tasks = math.ceil(n_jobs / chunk)
    if n_tasks > most:
        raise InputError(
            f"Expected at most {counted(most, 'array task')}, {counted(n_jobs, 'job')} in chunks of {chunk} make "
            f"{n_tasks}: take chunks of at least {math.ceil(n_jobs / most)}."
        )
    logs = out / LOGS_FOLDER
    logs.mkdir(parents=True, exist_ok=True)
    submit = ("sbatch", str(path))
    run = [*(program or default_program()), "archive", "run-one", str(manifest), "--out", str(out)]
    run += ["--api-calls", str(api_calls), *(["--retry-failed"] if retry_failed else [])]
    text = SCRIPT.substitute(
        submit=shlex.join(submit),
        last=n_tasks - 1,
        at_once=at_once,
        memory=memory,
        time=time,
        log=_quoted_path(logs / "%A_%a.log"),
        options="\n".join(f"#SBATCH {option}" for option in options),
        n_jobs=n_jobs,
        chunk=chunk,
        command=shlex.join(run),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(line for line in text.splitlines() if line) + "\n", encoding="utf-8")
    path.chmod(0o755)
    return Batch(path, submit, n_tasks, chunk)


def default_program() -> list[str]:
    """Return the command that runs this package with this Python."""
    return [sys.executable, "-c", "from nwb_cascade.cli import main; main(prog_name='nwb-cascade')"]


def _quoted_path(path: Path) -> str:
    return f'"{path}"' if " " in str(path) else str(path)
