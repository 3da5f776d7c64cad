"""A dandiset from plan to derived dandiset, with faults, kills and two runners, by the real dandi client."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from dandi.files import dandi_file
from dandischema.models import Resource

from nwb_cascade.annotation import annotate as annotate_module
from tests.support.archive_commands import archive_command, set_environment
from tests.support.dandi_content import Archive
from tests.support.dandi_faults import API_FAULTS, Fault, Faults
from tests.support.dandi_server import DandiServer
from tests.support.fake_runs import fake_run
from tests.support.recordings import bare_nwbfile, dff_recording, simulated_dff, write_recording

pytest.importorskip("distributed", reason="needs dask")
ROOT = Path(__file__).parents[2]
GOOD = range(4)
KINDS = API_FAULTS | {Fault.DROP, Fault.TRUNCATE, Fault.EXPIRED}
RATES = "processing/ophys/InferredSpikeRates/data"
PATIENCE_S = 300


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """What the command and its workers are told; nothing of whoever runs the tests."""
    set_environment(monkeypatch, tmp_path / "cache", NWB_CASCADE_TEST_KILLS=tmp_path / "kills")
    (tmp_path / "kills").mkdir()


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    paths = [dff_recording(folder / f"sub-{n}_ophys.nwb", simulated_dff(seed=n)) for n in GOOD]
    nothing = dff_recording(folder / "sub-nothing_ophys.nwb", np.full((4, 300), np.nan, np.float32))
    return [*paths, nothing]


@pytest.fixture
def server(recordings, tmp_path):
    archive = Archive()
    dandiset = archive.add("000001")
    for path in recordings:
        dandiset.add(f"{path.name.split('_')[0]}/{path.name}", path)
    dandiset.add("sub-x/sub-x_ophys.nwb", write_recording(tmp_path / "sub-x.nwb", bare_nwbfile()))
    dandiset.add("sub-y/sub-y_ophys.nwb", b"")
    dandiset.add("sub-z/sub-z_ophys.nwb", b"no recording")
    dandiset.publish("0.240101.0001")
    with DandiServer(archive, faults=Faults(0.1, kinds=KINDS)) as server:
        yield server


def start(*arguments, log):
    """Run a command as a process of its own."""
    code = "from nwb_cascade.cli import main; main()"
    with open(log, "w") as output:
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code, "archive", *map(str, arguments)],
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def status_of(manifest, out):
    return json.loads(archive_command("status", manifest, "--out", out, "--json").stdout)


def wait_for(condition, what):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited for {what} in vain"
        time.sleep(0.05)


def test_plan_run_kill_resume_collect_validate(server, recordings, tmp_path, monkeypatch):
    manifest, out, derived = tmp_path / "m.jsonl", tmp_path / "out", tmp_path / "derived"
    address = f"dandi://{server.url.removeprefix('http://')}/000001@0.240101.0001"
    planned = archive_command("plan", address, "-o", manifest, "--readers", "1")
    assert planned.stdout.startswith(f"5 jobs in {manifest}, 3 files without one."), planned.output
    for reason in ("no series of ROI traces", "empty (0 bytes)", "starts with b'no recor'"):
        assert reason in planned.stdout

    run = ("run", manifest, "--out", out, "--workers", "1")
    (tmp_path / "kills" / "1").touch()
    first = start(*run, log=tmp_path / "log0")
    wait_for(lambda: list(out.glob("jobs/*/done-*.json")) or first.poll() is not None, "a job that is done")
    assert first.poll() is None, (tmp_path / "log0").read_text()
    assert not list((tmp_path / "kills").iterdir())  # a worker died on the way
    os.kill(first.pid, signal.SIGKILL)
    first.wait()

    both = [start(*run, log=tmp_path / f"log{n}") for n in (1, 2)]
    codes = [process.wait(PATIENCE_S) for process in both]
    assert codes == [3, 3], [(tmp_path / f"log{n}").read_text() for n in (1, 2)]
    status = status_of(manifest, out)
    assert status["counts"] == {"done": 4, "failed": 1, "running": 0, "interrupted": 0, "pending": 0}
    (group,) = status["failures"]
    assert (group["count"], group["kind"]) == (1, "InputError")
    assert "Expected at least one trace with values" in group["cause"]
    assert len(list(out.glob("jobs/*/done-*.json"))) == 4
    assert len(list(out.glob("jobs/*/attempt-*/*.nwb"))) == 4

    collected = archive_command("collect", manifest, "--out", out, derived)
    assert collected.exit_code == 0, collected.output
    again = archive_command("collect", manifest, "--out", out, derived)
    assert again.stdout == collected.stdout
    check_derived(derived, recordings, tmp_path, monkeypatch, server)


def check_derived(derived, recordings, tmp_path, monkeypatch, server):
    """The dandiset is valid, and its rates are those of a quiet run on the same recordings."""
    names = sorted(p.relative_to(derived).as_posix() for p in derived.rglob("*.nwb"))
    assert len(names) == 4
    monkeypatch.setattr(annotate_module, "prepare_run", fake_run)
    expected = [
        h5py.File(annotate_module.annotate(path, output=tmp_path / f"quiet{n}.nwb", sidecar=True).output)[RATES][:]
        for n, path in enumerate(recordings[:-1])
    ]
    found = [h5py.File(derived / name)[RATES][:] for name in names]
    for values in expected:
        assert any(np.array_equal(values, other, equal_nan=True) for other in found)
    findings = [finding for name in ("dandiset.yaml", *names) for finding in errors_of(derived / name, derived)]
    assert findings == []
    (resource,) = yaml.safe_load((derived / "dandiset.yaml").read_text())["relatedResource"]
    assert Resource(**resource).relation.value == "dcite:IsDerivedFrom"
    assert resource["url"] == f"{server.api_url}/dandisets/000001/versions/0.240101.0001/"
    assert (derived / "results.csv").read_text().count("\n") == 6
    assert "Expected at least one trace" in (derived / "overview.html").read_text()
    upload = archive_command("upload", derived, "--dandiset", "000123", "--instance", server.api_url, "--dry-run")
    assert upload.stdout.startswith("Would upload 4 files"), upload.output


def errors_of(path, root):
    results = dandi_file(path, dandiset_path=root).get_validation_errors()
    return [result for result in results if result.severity.name in ("ERROR", "CRITICAL")]
