"""Run a dandiset of many recordings through faults and kills, and compare the results with those of a quiet run.

    python scripts/soak_archive.py --assets 200 --output /tmp/soak

A DANDI server of this machine (`tests/support`) serves the recordings; each request fails with a probability (reset,
429, 503, cut or truncated body, expired link). A worker that is at work is killed by SIGKILL at regular times, the
runner twice, and started again. By default the networks are arithmetic, as in the tests, so that a worker is soon at
work again after a kill; ``--networks bundled`` takes the bundled ensemble. Prints figures as JSON; exit status 1 if
anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.dandi_content import Archive  # noqa: E402
from tests.support.dandi_faults import PASSING_FAULTS, Fault, Faults  # noqa: E402
from tests.support.dandi_server import DandiServer  # noqa: E402
from tests.support.recordings import dff_recording, simulated_dff  # noqa: E402

CODE = "from nwb_cascade.cli import main; main()"
VERSION = "0.260101.0001"
RESTLESS = ("object_id", "file_create_date", ".specloc", "namespace")  # differ between files of the same content
KINDS = PASSING_FAULTS - {Fault.STALL}  # a stall costs 30 s of waiting each and tells no more than a cut


def main() -> None:
    """Make the dandiset, run it quietly, run it under fire, compare."""
    options = parsed()
    folder = options.output
    folder.mkdir(parents=True, exist_ok=True)
    prepare_environment(folder, options)
    archive = Archive()
    dandiset = archive.add("000001")
    for path in recordings(folder / "recordings", options.assets, options.broken):
        dandiset.add(f"{path.name.partition('_')[0]}/{path.name}", path)
    dandiset.publish(VERSION)
    faults = Faults(0.0, kinds=KINDS)
    with DandiServer(archive, faults=faults) as server:
        address = f"dandi://{server.url.removeprefix('http://')}/000001@{VERSION}"
        manifest = folder / "manifest.jsonl"
        command("plan", address, "-o", manifest, "--readers", 2, log=folder / "plan.log").wait()
        quiet = run_quietly(folder, manifest, options)
        server.reset()
        faults.probability = options.probability
        fired = run_under_fire(folder, manifest, options)
        fired["requests"] = server.count()
        fired["requests that failed"] = sum(one.fault is not None for one in server.served())
    figures = {"assets": options.assets, "networks": options.networks, "quiet run": quiet, "under fire": fired}
    figures["result"] = compare(folder, manifest)
    print(json.dumps(figures, indent=1))
    (folder / "figures.json").write_text(json.dumps(figures, indent=1))
    sys.exit(1 if figures["result"]["wrong"] else 0)


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--assets", type=int, default=200)
    parser.add_argument("--broken", type=int, default=10, help="recordings among them that have no values")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--probability", type=float, default=0.1)
    parser.add_argument("--kill-every", type=float, default=20.0, help="seconds between kills of a worker")
    parser.add_argument("--kill-every-jobs", type=int, help="instead of by the clock, where a start takes minutes")
    parser.add_argument("--networks", choices=["arithmetic", "bundled"], default="arithmetic")
    parser.add_argument("--output", type=Path, required=True, help="a new folder")
    return parser.parse_args()


def prepare_environment(folder: Path, options: argparse.Namespace) -> None:
    """Set what the command and its workers are told."""
    os.environ |= {
        "DANDI_NO_ET": "1",
        "PYTHONPATH": str(ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    os.environ.pop("DANDI_API_KEY", None)
    if options.networks == "arithmetic":
        os.environ["DASK_DISTRIBUTED__WORKER__PRELOAD"] = "tests.support.archive_preload"


def recordings(folder: Path, n_assets: int, n_broken: int) -> list[Path]:
    """Write recordings of 4 ROIs; the last ones hold NaN only."""
    folder.mkdir(exist_ok=True)
    paths = []
    for number in range(n_assets):
        is_broken = number >= n_assets - n_broken
        dff = np.full((4, 300), np.nan, np.float32) if is_broken else simulated_dff(4, 600, seed=number)
        path = folder / f"sub-{number:03d}_ophys.nwb"
        paths.append(path if path.exists() else dff_recording(path, dff))
    return paths


def command(*arguments: Any, log: Path) -> subprocess.Popen[bytes]:
    """Start ``nwb-cascade archive`` with a cache named as the log, so that no run reads what another fetched."""
    with open(log, "ab") as output:
        call = [sys.executable, "-W", "ignore", "-c", CODE, "archive", *map(str, arguments)]
        environment = {**os.environ, "NWB_CASCADE_CACHE": str(log.with_suffix(".cache"))}
        return subprocess.Popen(call, stdout=output, stderr=subprocess.STDOUT, env=environment)


def runner(folder: Path, manifest: Path, name: str, workers: int) -> subprocess.Popen[bytes]:
    """Start a runner."""
    return command("run", manifest, "--out", folder / name, "--workers", workers, log=folder / f"{name}.log")


def run_quietly(folder: Path, manifest: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run without faults and kills."""
    code = runner(folder, manifest, "quiet", options.workers).wait()
    return {"seconds": seconds_of(folder / "quiet"), "exit status": code}


def seconds_of(out: Path) -> float:
    """Time from the first claim to the last result."""
    first = min(path.stat().st_ctime for path in out.glob("jobs/*/claim-0001"))
    return round(max(path.stat().st_mtime for path in out.glob("jobs/*/*.json")) - first, 1)


def run_under_fire(folder: Path, manifest: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run while workers and, at a third and two thirds of the jobs, the runner are killed."""
    kills, runner_kills = 0, 0
    process = runner(folder, manifest, "fired", options.workers)
    last_kill, settled_then = time.monotonic(), 0

    def is_due(settled: int) -> bool:
        if options.kill_every_jobs:
            return bool(settled - settled_then >= options.kill_every_jobs)
        return bool(time.monotonic() - last_kill >= options.kill_every)

    rng = np.random.default_rng(0)
    while (code := process.poll()) is None:
        time.sleep(0.5)
        settled = len(list((folder / "fired").glob("jobs/*/done-*"))) + len(
            list((folder / "fired").glob("jobs/*/failed-*"))
        )
        if runner_kills < 2 and settled >= options.assets * (runner_kills + 1) / 3:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            runner_kills += 1
            process = runner(folder, manifest, "fired", options.workers)
        elif is_due(settled) and (workers := working_pids(folder / "fired")):
            os.kill(int(rng.choice(workers)), signal.SIGKILL)
            kills += 1
            last_kill, settled_then = time.monotonic(), settled
    return {
        "seconds": seconds_of(folder / "fired"),
        "exit status": code,
        "workers killed": kills,
        "runners killed": runner_kills,
    }


def working_pids(out: Path) -> list[int]:
    """Processes that have a claim and live."""
    claims = [path for job in out.glob("jobs/*") for path in sorted(job.glob("claim-*"))[-1:]]
    open_claims = [c for c in claims if not list(c.parent.glob(f"*-{c.name.rpartition('-')[2]}.json"))]
    pids = {int(json.loads(claim.read_text())["pid"]) for claim in open_claims}
    return sorted(pid for pid in pids if psutil.pid_exists(pid))


def compare(folder: Path, manifest: Path) -> dict[str, Any]:
    """Compare the ledgers and the files of both runs."""
    from nwb_cascade.archive.ledger import Ledger
    from nwb_cascade.archive.manifest import Manifest

    quiet, fired = Ledger(folder / "quiet"), Ledger(folder / "fired")
    states: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    wrong: list[str] = []
    attempts = adopted = 0
    for job in Manifest(manifest).jobs():
        one, other = quiet.entry(job.id), fired.entry(job.id)
        states[other.state] += 1
        attempts += len(list(other.folder.glob("claim-*")))
        dones = sorted(int(path.stem.rpartition("-")[2]) for path in other.folder.glob("done-*"))
        last_claim = max((int(path.name.rpartition("-")[2]) for path in other.folder.glob("claim-*")), default=0)
        if other.state == "failed":
            causes[f"{other.record['kind']}: {other.record['cause'].partition(' in ')[0]}"] += 1
        if one.state != other.state:
            wrong.append(f"{job.address}: {one.state} in the quiet run, {other.state} under fire: {other.record}")
        elif other.state == "done":
            adopted += bool(other.record["is_adopted"])
            if dones != [last_claim]:
                wrong.append(f"{job.address}: done in attempts {dones} of {last_claim}")
            wrong += [f"{job.address}: {problem}" for problem in differences(one.output, other.output)]
    leftovers = [str(p) for p in (folder / "fired").rglob("*") if p.name.startswith(".") and p.is_file()]
    return {
        "states": dict(states),
        "causes": dict(causes),
        "attempts": attempts,
        "adopted from a killed attempt": adopted,
        "hidden files left over": len(leftovers),
        "wrong": wrong,
    }


def differences(one: Path, other: Path) -> list[str]:
    """Say what differs between two results, and what is invalid in the second."""
    from pynwb import validate

    from tests.support.annotating import contents

    first, second = ({k: v for k, v in contents(p).items() if not k.endswith(RESTLESS)} for p in (one, other))
    found = [f"{key} differs" for key in sorted(first.keys() | second.keys()) if first.get(key) != second.get(key)]
    return found + [str(error) for error in validate(path=str(other))]


if __name__ == "__main__":
    main()
