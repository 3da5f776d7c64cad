"""Damage what strangers may send and see that it costs its own result only: one sentence, the others done.

    python scripts/fuzz_files.py --cases 2000 --seed 0 --keep /tmp/fuzz --log /tmp/fuzz.jsonl

Recordings (HDF5 and Zarr, by ``tests/support/nwb_damage.py`` and ``text_damage.py``), folders of models, published
Cascade models, manifests, lists of published models, and what servers answer are damaged or forged; each meets one
command, recordings together with a sound one. The command runs in a process of its own kind; wrong is: one that dies,
a traceback, a warning of a library, more than one sentence, 30 s of the processor, more than 1.5 GB in this process or
in one that it started, a sound recording that is not done. Prints what went wrong and figures as JSON; it is kept in
``--keep``. With ``--log`` every case is noted in a file, and those that stand there are not run again, so that a run
that was stopped goes on. Exit status 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.fuzz_cases import KINDS, Case, cases, environment, judged  # noqa: E402

MOST_KB, MOST_S = 1_500_000, 30.0
CLOCK_PER_PROCESSOR = 10  # on a machine with other work
INFER_S = 300.0  # TensorFlow takes seconds to start and its networks to compile
LONGEST_LINE = 900
MOST_LINES = {"answers": 2}  # two recordings lie in the dandiset
NOT_ONE_SENTENCE = ("Traceback", "Warning:", "warnings.warn", "Error in ", "HDF5-DIAG")


@dataclass(frozen=True)
class Trial:
    """How one command took one damaged file: what was wrong, empty if nothing was, and what it said."""

    case: Case
    wrong: str
    said: str = ""
    seconds: float = 0.0
    kilobytes: int = 0


def main() -> None:
    """Damage, run, count."""
    options = parsed()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.update(environment(folder))
        trials = noted(options.log)
        numbers = range(len(trials), options.cases)  # they are run in their order
        for trial in run_all(cases(folder, numbers, options.seed, only=options.only, infer_every=options.infer)):
            trials.append(trial)
            if trial.wrong:
                print(json.dumps(asdict(trial)), flush=True)
                keep(trial, options.keep)
            note(trial, options.log)
            shutil.rmtree(Path(trial.case.damaged).parent)
    figures = {
        "cases": Counter(trial.case.kind for trial in trials),
        "refused": sum(bool(trial.said) for trial in trials),
        "wrong": Counter(trial.wrong for trial in trials if trial.wrong),
        "longest_s": max(trial.seconds for trial in trials),
        "most_mb": max(trial.kilobytes for trial in trials) // 1024,
    }
    print(json.dumps(figures))
    sys.exit(1 if figures["wrong"] else 0)


def parsed() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=300, help="Damaged files [default: 300].")
    parser.add_argument("--seed", type=int, default=0, help="Of the damage [default: 0].")
    parser.add_argument("--keep", type=Path, help="Folder for what went wrong.")
    parser.add_argument("--log", type=Path, help="File of the cases that were run, of one seed and kind.")
    parser.add_argument("--only", choices=sorted(KINDS), help="One kind.")
    parser.add_argument("--infer", type=int, default=40, metavar="N", help="Infer every Nth of a kind [default: 40].")
    return parser.parse_args()


def keep(trial: Trial, folder: Path | None) -> None:
    """Keep what went wrong, with its number."""
    damaged = Path(trial.case.damaged)
    if folder is not None and damaged.exists():
        shutil.copytree(damaged.parent, folder / damaged.parent.name, dirs_exist_ok=True)


def noted(log: Path | None) -> list[Trial]:
    """Cases that an earlier run noted."""
    lines = log.read_text().splitlines() if log is not None and log.exists() else []
    return [Trial(**{**values, "case": Case(**values["case"])}) for values in map(json.loads, lines)]


def note(trial: Trial, log: Path | None) -> None:
    """Note a case that was run."""
    if log is not None:
        with open(log, "a") as file:
            file.write(json.dumps(asdict(trial)) + "\n")


def run_all(wanted: Iterator[Case]) -> Iterator[Trial]:
    """Run one case after the other in a process that is replaced when it dies, does not end or has grown."""
    context = multiprocessing.get_context("spawn")
    process, connection = started(context)
    for case in wanted:
        connection.send(case)
        if not connection.poll(INFER_S if "infer" in case.words else CLOCK_PER_PROCESSOR * MOST_S):
            trial = Trial(case, "did not end")
        else:
            try:
                trial = connection.recv()
            except EOFError:
                process.join()
                trial = Trial(case, f"died with exit code {process.exitcode}")
        if trial.wrong.startswith(("died", "did not")) or trial.kilobytes > MOST_KB:
            process.kill()
            process.join()
            process, connection = started(context)
        yield trial
    process.kill()


def started(context: Any) -> tuple[Any, Connection]:
    """A process that runs cases, and the way to it."""
    here, there = context.Pipe()
    process = context.Process(target=work, args=(there,), daemon=True)
    process.start()
    there.close()
    return process, here


def work(connection: Connection) -> None:
    """Run what arrives, for ever."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        connection.send(tried(connection.recv()))


def tried(case: Case) -> Trial:
    """Run one command and judge it."""
    from click import ClickException
    from click.testing import CliRunner

    from nwb_cascade.cli import main as cli

    before = used_s()
    result = CliRunner().invoke(cli, [*case.words], standalone_mode=False)
    seconds = used_s() - before
    kilobytes = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    said = result.stderr.strip()
    lines = said.splitlines()
    if isinstance(result.exception, ClickException):
        said, wrong = result.exception.message, ""
    elif result.exception is not None and not isinstance(result.exception, SystemExit):
        wrong = f"raised {type(result.exception).__name__}"
        said += f" {str(result.exception)[:LONGEST_LINE]}"
    elif found := [text for text in NOT_ONE_SENTENCE if text in said]:
        wrong = f"wrote {found[0]}"
    elif len(lines) > MOST_LINES.get(case.kind, 1) or any(len(line) > LONGEST_LINE for line in lines):
        wrong = "said too much"
    elif seconds > MOST_S and "infer" not in case.words:
        wrong = "took too long"
    elif kilobytes > MOST_KB:
        wrong = "took too much memory"
    else:
        wrong = judged(case, result.stdout)
    return Trial(case, wrong, said[: 2 * LONGEST_LINE], round(seconds, 2), kilobytes)


def used_s() -> float:
    """Seconds of the processor that this process and those that it started took."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
