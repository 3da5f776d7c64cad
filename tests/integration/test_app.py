"""The page that infers in the browser: files in, the numbers of the Python engine out, or a sentence on why not."""

from __future__ import annotations

import functools
import http.server
import json
import threading
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pynwb import NWBHDF5IO, validate
from pynwb.ophys import DfOverF, Fluorescence
from scipy.io import loadmat

from nwb_cascade import infer
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.dff import DffMethod, compute_dff
from nwb_cascade.options import FromRaw
from nwb_cascade.readers.stored_runs import open_run
from tests.support.browser import chromium, console_problems, wait_for
from tests.support.dandi_content import Archive
from tests.support.dandi_server import DandiServer
from tests.support.nwb_files import (
    add_imaging_plane,
    bare_nwbfile,
    fill,
    ophys_module,
    rois_table,
    series_of,
    write_recording,
)
from tests.support.raw_recordings import raw_recording
from tests.support.recordings import dff_recording
from tests.support.shared import shared_path
from tests.support.suite2p_files import N_FRAMES, N_ROIS, write_suite2p

APP = Path(__file__).parents[2] / "docs" / "app" / "dist"
TYPES = {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm"}


class _Files(http.server.SimpleHTTPRequestHandler):
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | TYPES

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A browser at the built page, and the folder of its downloads."""
    if not (APP / "index.html").exists():
        pytest.skip("the app is not built: python -m scripts.prepare_app; cd docs/app; npm ci; npm run build")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Files, directory=str(APP)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder = tmp_path_factory.mktemp("downloads")
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
        browser.address = f"http://127.0.0.1:{server.server_port}/"
        yield browser, folder
    server.shutdown()
    server.server_close()


def at(browser, *states):
    return wait_for(
        browser, f"return {list(states)}.includes(document.body.dataset.state) && document.body.dataset.state"
    )


def text(browser, name):
    return browser.execute_script(f"return document.getElementById('{name}').textContent")


def opened(browser, *paths):
    browser.get(browser.address)
    at(browser, "ready")
    browser.find_element("id", "file").send_keys("\n".join(map(str, paths)))
    return at(browser, "opened", "problem")


def inferred(browser, folder, kind="npy", **values):
    """Infer with what is asked filled in, and return the file that is downloaded."""
    for name, value in values.items():
        browser.execute_script(f"document.getElementById('{name}').value = {str(value)!r}")
    browser.find_element("id", "infer").click()
    assert at(browser, "done", "problem") == "done", text(browser, "problem")
    for old in folder.iterdir():
        old.unlink()  # a file of the same name would be replaced, which nobody sees
    browser.find_element("css selector", f"[data-file={kind}]").click()
    for _ in range(200):
        new = [path for path in folder.iterdir() if not path.name.endswith(".crdownload")]
        if new:
            return new[0]
        time.sleep(0.1)
    raise AssertionError("nothing was downloaded")


def traces(seed=0, n_rois=3, n_frames=900):
    rng = np.random.default_rng(seed)
    spikes = rng.poisson(0.03, (n_rois, n_frames)) * 0.5
    decay = np.exp(-np.arange(60) / 12)
    dff = np.array([np.convolve(one, decay)[:n_frames] for one in spikes]) + rng.normal(0, 0.1, spikes.shape)
    return dff.astype(np.float32)


def write_dff(path, dff, rate=30.0):
    """An NWB file with dF/F, time first."""
    nwbfile = bare_nwbfile()
    table = rois_table(add_imaging_plane(nwbfile), len(dff))
    fill(ophys_module(nwbfile, table), DfOverF, [series_of("RoiResponseSeries", dff.T, table, rate=rate)])
    return write_recording(path, nwbfile)


def test_a_matrix_gives_the_numbers_of_the_engine(page, tmp_path):
    browser, folder = page
    np.save(tmp_path / "traces.npy", traces())
    assert opened(browser, tmp_path / "traces.npy") == "opened"
    received = np.load(inferred(browser, folder, rate=30, indicator="GCaMP6s"))
    assert received == pytest.approx(infer(traces(), 30.0, indicator="GCaMP6s").expected_spikes, abs=1e-4)
    assert "traces.npy" in text(browser, "command")
    assert "--imaging-rate 30 --indicator 'GCaMP6s'" in text(browser, "command")
    assert console_problems(browser) == []


def test_the_page_is_one_file_that_infers_when_it_is_opened_from_disk(page, tmp_path):
    browser, folder = page
    path = tmp_path / "page.html"
    path.write_bytes((APP / "index.html").read_bytes())
    write_dff(tmp_path / "a.nwb", traces(7))
    browser.get(path.as_uri())
    at(browser, "ready")
    browser.find_element("id", "file").send_keys(str(tmp_path / "a.nwb"))
    assert at(browser, "opened", "problem") == "opened", text(browser, "problem")
    received = np.load(inferred(browser, folder))
    assert received == pytest.approx(infer(traces(7), 30.0, indicator="GCaMP6f").expected_spikes, abs=1e-4)
    assert console_problems(browser) == []


def test_nwb_is_listed_as_inspect_does_and_inferred(page, tmp_path):
    browser, folder = page
    dff = traces(1)
    write_dff(tmp_path / "a.nwb", dff)
    assert opened(browser, tmp_path / "a.nwb") == "opened"
    assert browser.execute_script("return document.querySelectorAll('#series tbody tr.chosen').length") == 1
    assert browser.execute_script("return document.getElementById('rate').value") == "30"
    assert browser.execute_script("return document.getElementById('indicator').value") == "GCaMP6f"
    lines = inferred(browser, folder, kind="csv").read_text().splitlines()
    received = np.array([[float(one) for one in line.split(",")[1:]] for line in lines[1:]]).T
    assert received == pytest.approx(infer(dff, 30.0, indicator="GCaMP6f").expected_spikes, abs=1e-4)


def test_a_recording_of_the_shared_folder(page):
    browser, folder = page
    path = shared_path("example_datasets/Experiment_552195520_excerpt.mat")
    assert opened(browser, path) == "opened"
    received = np.load(inferred(browser, folder, rate=30, indicator="GCaMP6f"))
    dff = loadmat(path)["dF_traces"].astype(np.float32)
    assert received.shape == dff.shape
    assert received[::8] == pytest.approx(infer(dff[::8], 30.0, indicator="GCaMP6f").expected_spikes, abs=1e-4)


def test_the_small_nwb_file_is_valid_and_holds_session_rois_and_rates(page, tmp_path):
    browser, folder = page
    dff = traces(3, n_frames=1500)
    dff[1] = 0.5
    assert opened(browser, write_dff(tmp_path / "a.nwb", dff)) == "opened"
    path = inferred(browser, folder, kind="nwb")
    assert validate(path=str(path)) == []
    with NWBHDF5IO(path, "r") as io:
        rates = io.read().processing["ophys"]["InferredSpikeRates"]
        expected = infer(dff, 30.0, indicator="GCaMP6f")
        assert pytest.approx(expected.expected_spikes, abs=1e-4, nan_ok=True) == rates.data[:].T
        assert rates.noise_level[:] == pytest.approx(expected.noise_levels, rel=1e-5)
        assert rates.roi_warnings[1] == "constant: constant trace (every frame is 0.5), nothing inferred"
        assert rates.rois.table["pixel_mask"][2].tolist() == [(2, 2, 1.0)]
        assert rates.rois.table.imaging_plane.indicator == "GCaMP6f"
        assert (rates.rate, rates.model.name) == (30.0, expected.model.name)
        assert rates.model.weights_sha256 == expected.model_sha256
        assert json.loads(rates.source_provenance)["object_path"] == "/processing/ophys/DfOverF/RoiResponseSeries"
    whole = expected.spike_counts(window_s=None)
    with open_run(path) as run:
        for name in ("expected", "lower", "upper"):
            known = getattr(whole, name)[:, 0]
            assert getattr(run.counts, name) == pytest.approx(known, rel=1e-3, nan_ok=True)
        assert (run.counts.model.kind, run.counts.level) == (whole.kind, whole.level)


def stored(path):
    """Rates (n_rois, n_frames), time of every frame or None, and what the run tells of itself."""
    with NWBHDF5IO(path, "r") as io:
        rates = io.read().processing["ophys"]["InferredSpikeRates"]
        times = None if rates.timestamps is None else rates.timestamps[:]
        warnings = None if rates.roi_warnings is None else list(rates.roi_warnings[:])
        return rates.data[:].T, times, json.loads(rates.run_parameters), warnings


def test_raw_fluorescence_of_an_nwb_file_becomes_dff_as_from_raw_makes_it(page, tmp_path):
    browser, folder = page
    raw_recording(tmp_path / "raw.nwb", rate=30.0)
    assert opened(browser, tmp_path / "raw.nwb") == "opened"
    assert "F - 0.7 neuropil, running rest level over 180 s" in text(browser, "note")
    path = inferred(browser, folder, kind="nwb")
    assert validate(path=str(path)) == []
    assert text(browser, "command").endswith("--from-raw")
    received, _, parameters, warnings = stored(path)
    expected, _, own, own_warnings = stored(annotate(tmp_path / "raw.nwb", from_raw=FromRaw()).output)
    assert received == pytest.approx(expected, abs=2e-4, rel=1e-3, nan_ok=True)
    assert parameters["dff"] == own["dff"]
    assert warnings == own_warnings


def test_frames_with_pauses_and_invalid_times_are_inferred_stretch_by_stretch(page, tmp_path):
    browser, folder = page
    times = 5 + np.arange(900) / 30
    times[400:] += 20
    times[700:] += 1 / 15
    path = tmp_path / "paused.nwb"
    dff_recording(path, traces(4), timestamps=times)
    with NWBHDF5IO(path, "a") as io:
        nwbfile = io.read()
        nwbfile.add_invalid_time_interval(start_time=6.0, stop_time=7.0)
        io.write(nwbfile)
    assert opened(browser, path) == "opened"
    sidecar = inferred(browser, folder, kind="nwb")
    assert validate(path=str(sidecar)) == []
    received, stamps, parameters, warnings = stored(sidecar)
    result = annotate(path)
    expected, own_stamps, own, own_warnings = stored(result.output)
    assert received == pytest.approx(expected, abs=2e-4, rel=1e-3, nan_ok=True)
    assert stamps == pytest.approx(own_stamps)
    assert [one["frames"] for one in parameters["stretches"]] == [[0, 400], [400, 900]]
    assert parameters["stretches"] == [
        {**one, "imaging_rate_hz": pytest.approx(one["imaging_rate_hz"])} for one in own["stretches"]
    ]
    assert warnings == own_warnings
    said = text(browser, "status")
    assert result.warnings
    assert all(one in said for one in result.warnings)


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    """A plane of suite2p whose ROIs have transients, and the rates that this package infers from it."""
    folder = write_suite2p(tmp_path_factory.mktemp("session") / "plane0")
    dff = traces(5, n_rois=N_ROIS, n_frames=N_FRAMES)
    np.save(folder / "F.npy", (np.load(folder / "F.npy") * (1 + dff)).astype(np.float32))
    ops = np.load(folder / "ops.npy", allow_pickle=True).item()
    ops |= {"badframes": np.arange(N_FRAMES) == 50, "neucoeff": np.float32(0.5), "date": datetime(2020, 1, 1)}
    np.save(folder / "ops.npy", ops)
    result = annotate(folder, output=folder.parent / "rates.npy", indicator="GCaMP6s")
    return folder, np.load(result.output)


def test_a_plane_of_suite2p_becomes_dff_as_the_command_makes_it(page, plane):
    browser, downloads = page
    folder, expected = plane
    names = ("F.npy", "Fneu.npy", "iscell.npy", "ops.npy", "stat.npy", "spks.npy")
    assert opened(browser, *(folder / name for name in names)) == "opened", text(browser, "problem")
    assert browser.execute_script("return document.getElementById('rate').value") == "30"
    assert "F - 0.5 neuropil" in text(browser, "note")
    received = np.load(inferred(browser, downloads, indicator="GCaMP6s"))
    assert received == pytest.approx(expected, abs=1e-4, rel=1e-3, nan_ok=True)
    assert np.isnan(received).all(axis=1).tolist() == [False, True, False, False]
    assert "not asked for (iscell is 0)" in text(browser, "rois")
    assert text(browser, "command") == "nwb-cascade infer 'FOLDER' --indicator 'GCaMP6s'"


def drop(browser, path):
    """Drop a file or folder onto the page, as a mouse does."""
    browser.get(browser.address)
    at(browser, "ready")
    box = browser.find_element("id", "drop").rect
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + 10}
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        browser.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, **place, "data": data})
    return at(browser, "opened", "problem")


def test_the_folder_of_a_plane_and_that_around_it_are_dropped(page, plane, tmp_path):
    browser, downloads = page
    folder, expected = plane
    for dropped, name in ((folder, "plane0"), (folder.parent, f"{folder.parent.name}/plane0")):
        assert drop(browser, dropped) == "opened", text(browser, "problem")
        assert text(browser, "name") == name
    received = np.load(inferred(browser, downloads, indicator="GCaMP6s"))
    assert received == pytest.approx(expected, abs=1e-4, rel=1e-3, nan_ok=True)
    assert text(browser, "command") == f"nwb-cascade infer '{name}' --indicator 'GCaMP6s'"
    (tmp_path / "a.zarr").mkdir()
    assert drop(browser, tmp_path / "a.zarr") == "problem"
    assert "Of folders the page reads planes of suite2p only; nwb-cascade infer reads NWB Zarr" in text(
        browser, "problem"
    )


def test_a_file_of_the_shared_folder_is_dropped(page):
    browser, _ = page
    assert drop(browser, shared_path("example_datasets/zf_pDp_OGB1_7.5Hz_plane01.mat")) == "opened", text(
        browser, "problem"
    )
    assert browser.execute_script("return document.querySelector('#series td.number').textContent") == "1005"


def test_the_rate_of_a_plane_is_asked_for_where_ops_cannot_be_read(page, plane, tmp_path):
    browser, downloads = page
    folder, _ = plane
    (tmp_path / "ops.npy").write_bytes((folder / "ops.npy").read_bytes()[:200])
    files = [folder / "F.npy", folder / "Fneu.npy", tmp_path / "ops.npy"]
    assert opened(browser, *files) == "opened", text(browser, "problem")
    assert browser.execute_script("return document.getElementById('rate').value") == ""
    assert "Expected ops.npy as a dictionary saved by NumPy; reading it fails: it is truncated." in text(
        browser, "note"
    )
    received = np.load(inferred(browser, downloads, rate=30, indicator="GCaMP6s"))
    cells, around = (np.load(folder / name) for name in ("F.npy", "Fneu.npy"))
    dff = compute_dff(cells, 30.0, DffMethod(), neuropil=around).dff
    assert received == pytest.approx(infer(dff, 30.0, indicator="GCaMP6s").expected_spikes, abs=1e-4, nan_ok=True)
    assert 'compute_dff(np.load("F.npy"), 30, DffMethod(neuropil_factor=0.7)' in text(browser, "python")


def opened_address(browser, address):
    browser.get(browser.address)
    at(browser, "ready")
    browser.find_element("id", "address").send_keys(address)
    browser.find_element("css selector", "#remote button").click()
    return at(browser, "opened", "problem")


@pytest.mark.parametrize(
    "address_of",
    [
        lambda api, asset: f"{api}/assets/{asset.asset_id}/download/",
        lambda api, asset: f"{api}/dandisets/000001/versions/draft/assets/?path={asset.path}",
    ],
    ids=["download", "path"],
)
def test_a_remote_recording_is_read_by_ranges(page, tmp_path, address_of):
    browser, folder = page
    dff = traces(2, n_rois=4, n_frames=60_000)[:2, :900]
    nwbfile = bare_nwbfile()
    table = rois_table(add_imaging_plane(nwbfile), 2)
    noise = np.random.default_rng(0).normal(400, 9, (400_000, 2))  # which nobody asks for
    module = ophys_module(nwbfile, table)
    fill(module, DfOverF, [series_of("RoiResponseSeries", dff.T, table, rate=30.0)])
    fill(module, Fluorescence, [series_of("RoiResponseSeries", noise, table, rate=30.0)])
    path = write_recording(tmp_path / "a.nwb", nwbfile)
    archive = Archive()
    asset = archive.add("000001").add("sub-1/sub-1_ophys.nwb", path)
    with DandiServer(archive) as server:
        address = address_of(server.api_url, asset)
        assert opened_address(browser, address) == "opened", text(browser, "problem")
        received = np.load(inferred(browser, folder))
        assert server.n_bytes() < path.stat().st_size / 2
    assert received == pytest.approx(infer(dff, 30.0, indicator="GCaMP6f").expected_spikes, abs=1e-4)
    assert text(browser, "command").startswith(f"nwb-cascade infer '{address}'")


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("recording.nwb", "Expected an address (https://…) or an asset on DANDI"),
        ("http://127.0.0.1:9/a.nwb", "http://127.0.0.1:9/a.nwb cannot be reached from this page"),
    ],
)
def test_an_address_that_is_none_gets_one_sentence(page, address, sentence):
    browser, _ = page
    assert opened_address(browser, address) == "problem"
    assert sentence in text(browser, "problem")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "broken.nwb",
            b"\x89HDF\r\n\x1a\n" + bytes(200),
            "broken.nwb cannot be opened: it is no HDF5 file, truncated or damaged",
        ),
        ("notes.nwb", b"no recording at all", "Expected an NWB file (HDF5), a .npy or a .mat file, received notes.nwb"),
        ("empty.npy", b"", "empty.npy is empty"),
        ("short.npy", b"\x93NUMPY", "short.npy is truncated"),
    ],
)
def test_what_is_no_recording_gets_one_sentence(page, tmp_path, name, content, sentence):
    browser, _ = page
    (tmp_path / name).write_bytes(content)
    assert opened(browser, tmp_path / name) == "problem"
    assert sentence in text(browser, "problem")


def test_raw_fluorescence_is_told_and_not_inferred(page, tmp_path):
    browser, _ = page
    np.save(tmp_path / "f.npy", traces() * 100 + 400)
    assert opened(browser, tmp_path / "f.npy") == "problem"
    assert "look like no dF/F" in text(browser, "problem")
    assert "as raw fluorescence does" in text(browser, "problem")
