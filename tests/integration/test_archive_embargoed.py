"""Zarr and embargoed assets from plan to derived dandiset, with an API key that stands in the environment alone."""

import csv
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

from nwb_cascade.annotation import annotate as annotate_module
from nwb_cascade.archive.ledger import Ledger
from nwb_cascade.archive.manifest import Manifest
from tests.support.archive_commands import archive_command, set_environment
from tests.support.dandi_content import Archive
from tests.support.dandi_server import DandiServer
from tests.support.fake_runs import fake_run
from tests.support.recordings import dff_recording, simulated_dff

pytest.importorskip("distributed", reason="needs dask")
ROOT = Path(__file__).parents[2]
OPEN, EMBARGOED, SIGNATURE = "000001", "000002", "X-Amz-Signature"
RATES = "processing/ophys/InferredSpikeRates/data"
PATIENCE_S = 300


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """What the command and its workers are told; nothing of whoever runs the tests, and no key yet."""
    set_environment(monkeypatch, tmp_path / "cache", DASK_TEMPORARY_DIRECTORY=tmp_path / "dask")


@pytest.fixture
def recordings(tmp_path):
    """By subject: two on the open dandiset, two on the embargoed one, HDF5 and Zarr each."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    names = [f"sub-{n}_ophys.nwb{'.zarr' if n % 2 else ''}" for n in range(4)]
    return [dff_recording(folder / name, simulated_dff(seed=n)) for n, name in enumerate(names)]


@pytest.fixture
def server(recordings):
    archive = Archive()
    dandisets = [archive.add(OPEN), archive.add(EMBARGOED, embargoed=True)]
    for n, path in enumerate(recordings):
        dandisets[n // 2].add(f"sub-{n}/{path.name}", path)
    with DandiServer(archive) as server:
        yield server


def run_watched(*arguments, log, secret):
    """Run a command as a process; returns its exit status and what processes had a secret in their command line."""
    code = "from nwb_cascade.cli import main; main()"
    command = [sys.executable, "-W", "ignore", "-c", code, "archive", *map(str, arguments)]
    seen, workers = set(), 0
    with open(log, "w") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
        while process.poll() is None:
            lines = [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])]
            workers = max(workers, len(psutil.Process(process.pid).children(recursive=True)))
            seen |= {line for line in lines if secret in line}
            try:
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
    assert workers > 2  # they were there to be looked at
    return process.returncode, seen


def files_with(folder, text):
    """Files below a folder that hold a text."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in paths if text.encode() in path.read_bytes()]


def test_zarr_and_embargoed_assets_with_a_key_that_is_written_nowhere(
    server, recordings, tmp_path, monkeypatch, caplog
):
    manifest, out, derived = tmp_path / "m.jsonl", tmp_path / "out", tmp_path / "derived"
    addresses = [f"dandi://{server.url.removeprefix('http://')}/{dandiset}" for dandiset in (OPEN, EMBARGOED)]
    refused = archive_command("plan", *addresses, "-o", manifest)
    assert (refused.exit_code, manifest.exists()) == (1, False)
    assert f"{addresses[1]} is embargoed: set the environment variable DANDI_API_KEY to an API key" in refused.stderr

    monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
    monkeypatch.setenv("DANDI_API_KEY", server.token)
    planned = archive_command("plan", *addresses, "-o", manifest)
    assert planned.stdout == f"4 jobs in {manifest}, 0 files without one.\n", planned.output

    monkeypatch.setenv("NWB_CASCADE_CACHE", str(tmp_path / "cache of the workers"))
    monkeypatch.delenv("DANDI_API_KEY")
    without = archive_command("run-one", manifest, "--out", out, "--index", "2", "--count", "2")
    assert (without.exit_code, without.stdout.count(" failed dandi://")) == (3, 2)
    for entry in [Ledger(out).entry(job.id) for job in Manifest(manifest).slice(2, 2)]:
        assert (entry.state, entry.record["kind"]) == ("failed", "PermissionError")
        assert "DANDI_API_KEY" in entry.record["cause"]

    monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
    monkeypatch.setenv("DANDI_API_KEY", server.token)
    run = ("run", manifest, "--out", out, "--workers", "2", "--api-calls", "1", "--retry-failed")
    server.reset()
    server.most_api_calls, server.meeting = 0, (2, 0.02)
    status, seen = run_watched(*run, log=tmp_path / "log", secret=server.token)
    assert status == 0, (tmp_path / "log").read_text()
    assert seen == set()
    assert server.most_api_calls == 1
    assert server.count("download") > 20  # a link for the file, and one for each object of the Zarr
    assert not any(one.has_authorization for one in server.served() if one.is_storage)

    collected = archive_command("collect", manifest, "--out", out, derived, "--report", tmp_path / "pages")
    assert collected.exit_code == 0, collected.output
    check_derived(derived, recordings, server, tmp_path, monkeypatch)
    check_modes(derived, tmp_path / "pages")
    assert {"m.jsonl", "log", "out", "derived", "cache", "pages"} <= {path.name for path in tmp_path.iterdir()}
    for secret in (server.token, SIGNATURE):
        assert files_with(tmp_path, secret) == []
        assert secret not in planned.output + without.output + collected.output + caplog.text


def check_modes(derived, pages):
    """What tells of an embargoed recording is its user's alone, all else is as the umask leaves it."""
    with open(derived / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["dandiset"] for row in rows} == {OPEN, EMBARGOED}
    for row in rows:
        for path in (derived / row["path"], pages / f"{Path(row['path']).stem}.html"):
            assert (path.stat().st_mode & 0o077 == 0) == (row["dandiset"] == EMBARGOED), path
    for name in ("results.csv", "overview.html", "dandiset.yaml", ".nwb-cascade-collected.json"):
        assert (derived / name).stat().st_mode & 0o777 == 0o600, name
    assert (derived.parent / "m.jsonl").stat().st_mode & 0o777 == 0o600


def check_derived(derived, recordings, server, tmp_path, monkeypatch):
    """Each result has the rates of a local run on its recording, and says where that came from."""
    monkeypatch.setattr(annotate_module, "prepare_run", fake_run)
    with open(derived / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for n, (row, recording) in enumerate(zip(rows, recordings, strict=True)):
        local = annotate_module.annotate(recording, output=tmp_path / f"quiet{n}.nwb", sidecar=True)
        asset = server.archive.dandisets[row["dandiset"]].versions["draft"][f"sub-{n}/{recording.name}"]
        with h5py.File(derived / row["path"]) as found, h5py.File(local.output) as expected:
            np.testing.assert_array_equal(found[RATES][:], expected[RATES][:])
        digest = asset.stored.checksum if recording.suffix == ".zarr" else asset.stored.etag
        assert (row["asset_id"], row["source_digest"]) == (asset.asset_id, digest)
        page = tmp_path / "pages" / f"{Path(row['path']).stem}.html"
        told = unescape(re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8")))
        assert "draft" in row["source"]
        assert all(text in told for text in (row["source"], asset.asset_id, digest))
