"""Damage NWB files in many ways and see that each costs its own result only: one sentence, the others done.

    python scripts/fuzz_files.py --files 300 --seed 0 --keep /tmp/fuzz

Each file is damaged by `tests/support/nwb_damage.py` and given together with a sound one to ``inspect``, ``infer
--dry-run``, now and then ``infer``, and ``archive plan``, in a process that may hold 4 GB and take a minute (to infer,
five). Wrong is: a process that dies or does not end, a traceback, a warning of a library, more than one sentence,
memory that grows by more than 1 GB, a sound file that is not done. Prints what went wrong and figures as JSON; files
that went wrong are kept in ``--keep``. Exit status 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.nwb_damage import DAMAGES  # noqa: E402
from tests.support.recordings import dff_recording, simulated_dff  # noqa: E402

ADDRESS_BYTES, GROWTH_KB = 4 * 2**30, 2**20
LIMIT_S, INFER_LIMIT_S = 60.0, 300.0
INFER_EVERY = 20  # TensorFlow takes seconds to start and its networks to compile
LONGEST_LINE = 900
NOT_ONE_SENTENCE = ("Traceback", "Warning:", "warnings.warn", "Error in ", "HDF5-DIAG")
Task = tuple[str, Path, Path, Path]  # command, damaged file, sound file, folder for output


@dataclass(frozen=True)
class Trial:
    """How one command took one damaged file: what was wrong, empty if nothing was, and what it said."""

    file: str
    command: str
    wrong: str
    said: str
    grown_kb: int


def main() -> None:
    """Damage, run, count."""
    options = parsed()
    with tempfile.TemporaryDirectory() as folder:
        trials = list(run_all(list(tasks(Path(folder), options))))
        wrong = [trial for trial in trials if trial.wrong]
        for trial in wrong:
            print(json.dumps(asdict(trial)))
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                shutil.copy(Path(folder) / trial.file, options.keep)
    figures = {
        "files": options.files,
        "trials": len(trials),
        "refused": sum(bool(trial.said) for trial in trials),
        "wrong": Counter(trial.wrong for trial in wrong),
        "most_grown_mb": max(trial.grown_kb for trial in trials) // 1024,
    }
    print(json.dumps(figures))
    sys.exit(1 if wrong else 0)


def parsed() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=300, help="Damaged files [default: 300].")
    parser.add_argument("--seed", type=int, default=0, help="Of the damage [default: 0].")
    parser.add_argument("--keep", type=Path, help="Folder for the files that went wrong.")
    parser.add_argument("--only", choices=sorted(DAMAGES), help="One way of damage.")
    parser.add_argument("--infer", type=int, default=INFER_EVERY, metavar="N", help="Infer every Nth [default: 20].")
    return parser.parse_args()


def tasks(folder: Path, options: argparse.Namespace) -> Iterator[Task]:
    """Write sound and damaged files; yield what is to be run on them."""
    sound = list(sound_files(folder))
    ways = [options.only] if options.only else sorted(DAMAGES)
    for number in range(options.files):
        rng = np.random.default_rng((options.seed, number))
        way, origin = ways[number % len(ways)], sound[int(rng.integers(len(sound)))]
        damaged = folder / f"{number:04d}_{way}.nwb"
        shutil.copy(origin, damaged)
        DAMAGES[way](damaged, rng)
        for command in ("inspect", "infer --dry-run", "plan", *(["infer"] if number % options.infer == 0 else [])):
            yield command, damaged, sound[0], folder / f"out_{number}"


def sound_files(folder: Path) -> Iterator[Path]:
    """Recordings in several layouts."""
    dff = simulated_dff(4, 600)
    times = np.arange(600) / 30
    yield dff_recording(folder / "rate.nwb", dff)
    yield dff_recording(folder / "timestamps.nwb", dff, timestamps=times)
    yield dff_recording(folder / "chunks.nwb", dff, chunks=(100, 2), rate=30.0)
    yield dff_recording(folder / "long_table.nwb", simulated_dff(60, 300), chunks=(50, 60), timestamps=times[:300])


def run_all(wanted: list[Task]) -> Iterator[Trial]:
    """Run one task after the other in a process that is replaced when it dies or does not end."""
    context = multiprocessing.get_context("spawn")
    process, connection = started(context)
    for number, task in enumerate(wanted):
        connection.send(task)
        trial = None
        if connection.poll(INFER_LIMIT_S if task[0] == "infer" else LIMIT_S):
            try:
                trial = connection.recv()
            except EOFError:
                process.join()
                trial = Trial(task[1].name, task[0], f"died with exit code {process.exitcode}", "", 0)
        else:
            trial = Trial(task[1].name, task[0], "did not end", "", 0)
        if trial.wrong.startswith(("died", "did not")) or trial.grown_kb > GROWTH_KB:
            process.kill()
            process.join()
            process, connection = started(context)
        if sys.stderr.isatty():
            print(f"\r{number + 1}/{len(wanted)}", end="", file=sys.stderr)
        yield trial
    process.kill()


def started(context: Any) -> tuple[Any, Connection]:
    """A process that runs tasks, and the way to it."""
    here, there = context.Pipe()
    process = context.Process(target=work, args=(there,), daemon=True)
    process.start()
    there.close()
    return process, here


def work(connection: Connection) -> None:
    """Run what arrives, for ever."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        connection.send(tried(*connection.recv()))


def tried(command: str, damaged: Path, sound: Path, output: Path) -> Trial:
    """Run one command on a damaged and a sound file, and judge it."""
    from click.testing import CliRunner

    from nwb_cascade.cli import main as cli

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    arguments, is_done = COMMANDS[command](damaged, sound, output)
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    said = result.stderr.strip()
    lines = said.splitlines()
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        wrong = f"raised {type(result.exception).__name__}"
        said += f" {result.exception}"
    elif found := [text for text in NOT_ONE_SENTENCE if text in said]:
        wrong = f"wrote {found[0]}"
    elif len(lines) > 1 or any(len(line) > LONGEST_LINE for line in lines):
        wrong = "said too much"
    elif grown > GROWTH_KB:
        wrong = "grew"
    else:
        wrong = is_done(result)
    return Trial(damaged.name, command, wrong, said, grown)


def inspected(damaged: Path, sound: Path, _: Path) -> tuple[list[str], Callable[[Any], str]]:
    """Inspect both; the sound one has its series."""

    def judged(result: Any) -> str:
        records = {record["path"]: record for record in json.loads(result.stdout)}
        return "" if records[str(sound)].get("series") else "sound file is not done"

    return ["inspect", "--json", str(damaged), str(sound)], judged


def inferred(damaged: Path, sound: Path, output: Path, *more: str) -> tuple[list[str], Callable[[Any], str]]:
    """Infer both; the sound one has a result, and what failed by a library's error says so in our words."""

    def judged(result: Any) -> str:
        records = {record["path"]: record for record in json.loads(result.stdout)}
        if "error" in records[str(sound)]:
            return "sound file is not done"
        error = records[str(damaged)].get("error", "")
        return f"unclear: {error.split(':')[0]}" if error.split(":")[0].endswith("Error") else ""

    output.mkdir(exist_ok=True)
    return ["infer", "--json", "--overwrite", "-o", str(output), *more, str(damaged), str(sound)], judged


def inferred_dry(damaged: Path, sound: Path, output: Path) -> tuple[list[str], Callable[[Any], str]]:
    """As `inferred`, without inference."""
    return inferred(damaged, sound, output, "--dry-run")


def planned(damaged: Path, sound: Path, output: Path) -> tuple[list[str], Callable[[Any], str]]:
    """Plan both; the sound one has a job."""
    manifest = output.with_suffix(".jsonl")

    def judged(_: Any) -> str:
        records = [json.loads(line) for line in manifest.read_text().splitlines()[1:]]
        done = any(record["address"] == str(sound) and "id" in record for record in records)
        unclear = any("Its header cannot be read:" in str(record) for record in records)
        return "unclear" if unclear else "" if done else "sound file is not done"

    return ["archive", "plan", "-o", str(manifest), str(damaged), str(sound)], judged


COMMANDS: dict[str, Callable[[Path, Path, Path], tuple[list[str], Callable[[Any], str]]]] = {
    "inspect": inspected,
    "infer --dry-run": inferred_dry,
    "infer": inferred,
    "plan": planned,
}

if __name__ == "__main__":
    main()
