"""Measure the runner: overhead per job and memory for many tiny jobs, and how throughput grows with workers.

    python -m scripts.benchmark_archive tiny --jobs 1000 10000
    python -m scripts.benchmark_archive workers --recordings 8

``tiny`` does jobs without a recording: with ``--work ledger`` each is claimed, writes one byte and is noted as done, as
real ones are, with ``--work nothing`` it returns at once, which leaves the runner's own overhead. Time is that of the
clock and that of the processor in the runner's process, which holds scheduler and client; memory is the
resident set of that process at the end. ``workers`` infers simulated recordings by the bundled ensemble with 1 and
2 workers; the time runs from the first claim to the last result, without the start of the workers.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from scripts.measuring import COMMAND, options_of


def main() -> None:
    """Measure what was asked for and print JSON."""
    parser = options_of(__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    tiny = kinds.add_parser("tiny")
    tiny.add_argument("--jobs", type=int, nargs="+", default=[1000, 10_000])
    tiny.add_argument("--workers", type=int, default=2)
    tiny.add_argument("--work", choices=["ledger", "nothing"], default="ledger")
    one = kinds.add_parser("one-tiny")
    one.add_argument("n_jobs", type=int)
    one.add_argument("workers", type=int)
    one.add_argument("work")
    workers = kinds.add_parser("workers")
    workers.add_argument("--recordings", type=int, default=8)
    workers.add_argument("--rois", type=int, default=50)
    workers.add_argument("--frames", type=int, default=20_000)
    options = parser.parse_args()
    if options.kind == "one-tiny":
        print(json.dumps(run_tiny(options.n_jobs, options.workers, options.work)))
    elif options.kind == "tiny":
        for n_jobs in options.jobs:  # in a process each, so that memory can be compared
            call = [sys.executable, "-W", "ignore", "-m", "scripts.benchmark_archive", "one-tiny"]
            call += [str(n_jobs), str(options.workers), options.work]
            print(subprocess.run(call, check=True, capture_output=True, text=True).stdout.strip(), flush=True)
    else:
        print(json.dumps(compare_workers(options.recordings, options.rois, options.frames), indent=1))


def no_work(job: Any, settings: Any) -> Any:
    """Do nothing."""
    from nwb_cascade.archive.job import JobOutcome

    return JobOutcome(job.id, "done")


def tiny_work(job: Any, settings: Any) -> Any:
    """Do a job without a recording."""
    from nwb_cascade.archive.job import JobOutcome
    from nwb_cascade.archive.ledger import Ledger

    claim = Ledger(settings.out).claim(job.id)
    if claim is None:
        return JobOutcome(job.id, "held", is_new=False)
    with claim:
        (claim.folder / "x.nwb").write_text("x")
        claim.finish(claim.folder / "x.nwb", {"size": 1})
    return JobOutcome(job.id, "done")


def run_tiny(n_jobs: int, workers: int, work: str) -> dict[str, float]:
    """Run tiny jobs on a local cluster."""
    import psutil

    from nwb_cascade.archive.cluster import local_cluster
    from nwb_cascade.archive.job import Settings
    from nwb_cascade.archive.ledger import Ledger
    from nwb_cascade.archive.manifest import Manifest
    from nwb_cascade.archive.run import run_manifest
    from tests.support.archive_jobs import made_up_job, manifest_of

    process = psutil.Process()
    with tempfile.TemporaryDirectory() as folder:
        manifest = Manifest(manifest_of(Path(folder, "m.jsonl"), *map(made_up_job, range(n_jobs))))
        ledger = Ledger(Path(folder, "out"))
        ledger.prepare()
        with local_cluster(workers, logs=ledger.folder / "logs") as client:
            client.wait_for_workers(workers)
            started, cpu = time.perf_counter(), sum(process.cpu_times()[:2])
            before = process.memory_info().rss
            tally = run_manifest(
                client, manifest, Settings(str(ledger.folder)), work=tiny_work if work == "ledger" else no_work
            )
            seconds, cpu = time.perf_counter() - started, sum(process.cpu_times()[:2]) - cpu
            after = process.memory_info().rss
    assert tally.done == n_jobs
    return {
        "jobs": n_jobs,
        "work": work,
        "seconds": round(seconds, 1),
        "ms_per_job": round(1000 * seconds / n_jobs, 2),
        "runner_cpu_ms_per_job": round(1000 * cpu / n_jobs, 2),
        "runner_mb_before": round(before / 1e6, 1),
        "runner_mb_after": round(after / 1e6, 1),
    }


def compare_workers(n_recordings: int, n_rois: int, n_frames: int) -> dict[str, float]:
    """Time a manifest that is bound by inference with one worker and with two."""
    from nwb_cascade.archive.ledger import Ledger
    from nwb_cascade.archive.manifest import Manifest
    from nwb_cascade.archive.plan import plan
    from tests.support.recordings import dff_recording, simulated_dff

    times = {}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        data.mkdir()
        for number in range(n_recordings):
            dff_recording(data / f"sub-{number}_ophys.nwb", simulated_dff(n_rois, n_frames, seed=number))
        path = Path(folder, "m.jsonl")
        plan([str(data)], path, readers=1)
        for workers in (1, 2):
            out = Path(folder, f"out{workers}")
            call = [sys.executable, "-W", "ignore", "-c", COMMAND, "archive", "run", str(path), "--out", str(out)]
            subprocess.run([*call, "--workers", str(workers)], check=True, capture_output=True)
            records = [Ledger(out).entry(job.id).record for job in Manifest(path).jobs()]
            warm = sorted(record["time"] for record in records)[workers - 1 :]  # the first of each loads networks
            times[workers] = (warm[-1] - warm[0]) / (len(warm) - 1)
    return {
        "seconds_per_recording_1_worker": round(times[1], 2),
        "seconds_per_recording_2_workers": round(times[2], 2),
        "speedup": round(times[1] / times[2], 2),
    }


if __name__ == "__main__":
    main()
