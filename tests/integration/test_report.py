"""Reports of annotated recordings: what they hold, what they refuse, and how they behave in a browser."""

from __future__ import annotations

import base64
import json
import re
import zlib
from html import unescape
from pathlib import Path
from typing import Any

import h5py
import ndx_spike_inference as ndx
import numpy as np
import pytest
from click.testing import CliRunner

import nwb_cascade.annotation.annotate
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.cli.report import command
from nwb_cascade.errors import AmbiguousSeriesError, InputError
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.storage import appending
from nwb_cascade.report import page as page_module
from nwb_cascade.report import write_report
from nwb_cascade.report.page import MOST_BYTES
from tests.support.browser import chromium, console_problems, open_page, wait_for
from tests.support.fake_runs import fake_run
from tests.support.field_recordings import field_recording
from tests.support.recordings import dff_recording, simulated_dff
from tests.support.run_records import run_record, write_run

pytest.importorskip("plotly", reason="reports need plotly: pip install 'nwb-cascade[report]'")

N_ROIS, N_FRAMES = 5, 4000
FIT_ERRORS = [0.1, 0.1, 0.1, 0.81, float("nan")]


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of 5 ROIs with rates, a warning and discrete spikes."""
    folder = tmp_path_factory.mktemp("annotated")
    dff = simulated_dff(N_ROIS, N_FRAMES)
    dff[1, 900:1000] = np.nan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)
        result = annotate(dff_recording(folder / "mouse <7> ü.nwb", dff), output=folder / "spikes <7> ü.nwb")
    add_spikes(Path(result.output))
    return Path(result.output)


def add_spikes(path: Path) -> None:
    """Three spikes per ROI, the first in the middle of the recording."""
    with appending(path) as (nwbfile, io):
        rates = nwbfile.processing["ophys"]["InferredSpikeRates"]
        table = ndx.InferredSpikesTable(
            name="InferredSpikes",
            method="made up",
            parameters="{}",
            rates=rates,
            target_tables={"roi": rates.rois.table},
        )
        for roi in range(N_ROIS):
            table.add_row(roi=roi, spike_times=[1.25 + 2000 / 30, 80.0 + roi, 100.0], fit_error=FIT_ERRORS[roi])
        nwbfile.processing["ophys"].add(table)
        io.write(nwbfile)


@pytest.fixture(scope="module")
def report(annotated: Path) -> Path:
    """The report of the annotated recording."""
    return write_report(annotated, annotated.with_name("report ü.html"))


@pytest.fixture(scope="module")
def browser(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with chromium(tmp_path_factory.mktemp("profile") / "profile") as started:
        open_page(started, report)
        yield started


def facts_of(page: Path) -> dict[str, Any]:
    """What the charts of a page are drawn from."""
    text = re.search(r'id="facts">([^<]*)<', page.read_text(encoding="utf-8"))
    assert text
    return json.loads(zlib.decompress(base64.b64decode(text[1])))


def words_of(page: Path) -> str:
    """The text of a page without its scripts, styles and tags."""
    html = re.sub(r"(?s)<(script|style).*?</\1>", " ", page.read_text(encoding="utf-8"))
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)))


def test_the_page_says_what_was_run_on_what(report: Path) -> None:
    words = words_of(report)
    for told in (
        "spikes <7> ü.nwb",
        "fake_30Hz, version 1.0",
        "ab" * 32,
        "DS09, DS10",
        "gaussian, 0.05 s",
        "/processing/ophys/DfOverF/RoiResponseSeries",
        "5 ROIs × 4000 frames at 30 Hz",
        "InferredSpikes: made up",
        "median fit error 0.10; 1 of 5 ROIs above 0.5: do not read those trains spike by spike",
        "1 of 5 fit error 0.81 of the discrete spikes: do not read this train spike by spike",
        "nonnegative: negative values set to 0",
        "Simulated cells, not recordings",
        "This page holds every frame of every ROI.",
        "100 frames are NaN and get no value",
    ):
        assert told in words


def test_the_page_begins_with_what_matters_and_folds_the_provenance_away(report: Path) -> None:
    html = report.read_text(encoding="utf-8")
    order = re.findall(r'<section id="([a-z]+)"', html)
    assert order == ["headline", "warnings", "population", "plane", "quality", "browser", "examples", "about"]
    numbers = re.findall(r'class="value">([\d,]+)</span> <span class="label">([^<]+)<', html)
    rates = np.maximum(0.75 * simulated_dff(N_ROIS, N_FRAMES), 0)[:, 4:-3]
    rates[1, 889:1000] = 0  # NaN, and what sees it
    assert numbers[0] == ("5", "ROIs")
    assert float(numbers[1][0].replace(",", "")) == pytest.approx(rates.sum(), abs=5)
    assert numbers[2:] == [("15", "discrete spikes"), ("2", "ROIs with a warning")]
    assert re.search(r"<section id=\"about\"><details><summary>", html)


def test_the_page_asks_nothing_of_a_network(report: Path) -> None:
    html = report.read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", html)
    assert "@import" not in html
    assert report.stat().st_size < MOST_BYTES


def test_the_facts_are_those_of_the_file(report: Path) -> None:
    facts = facts_of(report)
    assert facts["has"] == {"dff": True, "rate": True, "deviation": True, "spikes": True}
    columns = {column["key"]: column["values"] for column in facts["columns"]}
    rates = np.maximum(0.75 * simulated_dff(N_ROIS, N_FRAMES), 0)
    assert columns["expected"][0] == pytest.approx(rates[0, 4:-3].sum(), rel=1e-4)
    assert columns["spikes"] == [3] * N_ROIS
    assert columns["fit_error"] == [0.1, 0.1, 0.1, 0.81, None]
    assert columns["warnings"][3] == "fit error 0.81 of the discrete spikes: do not read this train spike by spike"
    assert "100 frames are NaN" in columns["warnings"][1]
    assert facts["rows"]["start"] == [1.25] * N_ROIS


def test_two_runs_make_the_same_page(annotated: Path, report: Path, tmp_path: Path) -> None:
    assert write_report(annotated, tmp_path / "again.html").read_bytes() == report.read_bytes()


def test_ground_truth_of_a_folder_is_shown(annotated: Path, tmp_path: Path) -> None:
    from ground_truth_nwb.simulated_set import simulated_set_folder

    page = write_report(annotated, tmp_path / "r.html", ground_truth=simulated_set_folder())
    assert "Recorded cells (GCaMP6f) of simulated" in words_of(page)
    with pytest.raises(InputError, match="recorded at 30 Hz or faster"):
        write_report(annotated, tmp_path / "r.html", ground_truth=annotated.parent)


def test_a_run_without_its_source_is_shown_without_dff(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "r.nwb", simulated_dff())
    write_run(path, run_record(path, ensemble_std=None))
    with h5py.File(path, "r+") as file:
        del file["processing/ophys/Rates/source_series"]
    page = write_report(path, tmp_path / "r.html")
    assert facts_of(page)["has"] == {"dff": False, "rate": True, "deviation": False, "spikes": False}
    assert "without the dF/F that they were made from" in words_of(page)


def test_an_roi_without_values_is_no_silent_cell(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "r.nwb", simulated_dff())
    rates = np.zeros((4, 300), np.float32)
    rates[2] = np.nan
    rates[3, :150] = np.nan
    rates[3, 150:] = 0.1
    write_run(path, run_record(path, expected_spikes=rates))
    columns = {
        column["key"]: column["values"] for column in facts_of(write_report(path, tmp_path / "r.html"))["columns"]
    }
    assert columns["expected"] == [0, 0, None, 15]
    assert columns["rate"] == [0, 0, None, 3], "the mean over the frames that have a value"


def test_odd_masks_and_trials_leave_the_rest_of_the_page(tmp_path: Path) -> None:
    path = field_recording(tmp_path / "r.nwb", 4, 300)
    write_run(path, run_record(path))
    with h5py.File(path, "r+") as file:
        table = file["processing/ophys/ImageSegmentation/rois_plane"]
        table["pixel_mask_index"][:] = [3, 1, 2, 60_000]
        starts = file["intervals/trials/start_time"]
        attributes, n_trials = dict(starts.attrs), len(starts)
        del file["intervals/trials/start_time"]
        file["intervals/trials"].create_dataset("start_time", data=np.full(n_trials, np.nan)).attrs.update(attributes)
    page = write_report(path, tmp_path / "r.html")
    facts = facts_of(page)
    assert [kind["table"] for kind in facts["events"]] == ["gratings"]
    assert len(facts["rows"]["ids"]) == 4
    with h5py.File(path, "r+") as file:
        del file["processing/ophys/ImageSegmentation/rois_plane/pixel_mask_index"]
        del file["processing/ophys/ImageSegmentation/rois_plane/pixel_mask"]
        mask = file["processing/ophys/ImageSegmentation/rois_plane"].create_dataset(
            "image_mask", data=np.full((4, 3, 3), b"x")
        )
        mask.attrs.update(
            {"namespace": "hdmf-common", "neurodata_type": "VectorData", "description": "?", "object_id": "1"}
        )
        file["processing/ophys/ImageSegmentation/rois_plane"].attrs["colnames"] = ["image_mask"]
    page = write_report(path, tmp_path / "r.html")
    assert facts_of(page)["map"] is None
    assert "The masks of the ROIs cannot be read" in words_of(page)


def test_a_recording_of_one_frame_is_shown(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "r.nwb", simulated_dff(2, 1))
    one = np.ones((2, 1), np.float32)
    first = np.array([[0, 1], [0, 1]], np.int64)
    record = run_record(path, 2, 1, expected_spikes=one, ensemble_std=0 * one, valid_frames=first)
    write_run(path, record)
    assert "2 ROIs × 1 frame at" in words_of(write_report(path, tmp_path / "r.html"))


def test_a_file_without_rates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Expected inferred spike rates in .*r.nwb, found none.*nwb-cascade infer"):
        write_report(dff_recording(tmp_path / "r.nwb"), tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_a_run_that_is_not_there_is_refused_with_those_that_are(annotated: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'Other'.*found InferredSpikeRates \(/processing/ophys/InferredSpikeRates\)"):
        write_report(annotated, tmp_path / "r.html", run_name="Other")


def test_one_of_several_runs_has_to_be_named(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "r.nwb", simulated_dff())
    for name in ("First", "Second"):
        write_run(path, run_record(path, name=name))
    with pytest.raises(AmbiguousSeriesError, match=r"found 2: First .*, Second .*--run-name"):
        write_report(path, tmp_path / "r.html")
    page = write_report(path, tmp_path / "r.html", run_name="Second")
    assert "Second (/processing/ophys/Second)" in words_of(page)


def test_no_rois_are_refused(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "r.nwb", simulated_dff(3, 20))
    write_run(path, run_record(path, 3, 20))
    with h5py.File(path, "r+") as file:
        group = file["processing/ophys/Rates"]
        attributes = dict(group["data"].attrs)
        del group["data"]
        group.create_dataset("data", shape=(20, 0), dtype="f4").attrs.update(attributes)
    with pytest.raises(InputError, match="received 0 ROIs, 20 frames"):
        write_report(path, tmp_path / "r.html")


def test_an_output_that_is_no_page_is_refused(annotated: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"received the folder .* Name a file in it: .*report.html"):
        write_report(annotated, tmp_path)
    with pytest.raises(InputError, match=r"should end in .html"):
        write_report(annotated, annotated)


def test_an_unknown_roi_is_refused(annotated: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has 5 from 0 to 4; received \[9\]"):
        write_report(annotated, tmp_path / "r.html", detail=[1, 9])


def test_the_command_writes_a_page_and_says_so(annotated: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, [str(annotated), "-o", str(tmp_path / "new" / "r.html"), "--detail", "2"])
    assert result.exit_code == 0, result.output
    assert re.search(r"Wrote .*r.html \(2\.\d MB\)", result.output)
    assert (tmp_path / "new" / "r.html").exists()
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["r.html"]


def test_a_browser_draws_the_page_without_a_word_on_its_console(browser: Any) -> None:
    assert console_problems(browser) == []
    drawn = browser.execute_script(
        "return ['noise-chart', 'raster-chart', 'example-chart', 'traces'].map("
        "(id) => document.getElementById(id).querySelectorAll('.main-svg').length > 0)"
    )
    assert drawn == [True] * 4
    assert browser.execute_script("return document.getElementById('failure').hidden")


def test_a_click_in_the_table_or_the_raster_selects_an_roi(browser: Any) -> None:
    browser.execute_script("document.querySelector('#rows tr[data-row=\"3\"] button').click()")
    wait_for(browser, "return document.getElementById('traces').dataset.row === '3'")
    assert browser.execute_script("return document.getElementById('selected').textContent").startswith("ROI 3:")
    assert browser.execute_script("return document.querySelector('#rows tr[aria-current=true]').dataset.row") == "3"
    from selenium.webdriver import ActionChains

    raster = browser.find_element("css selector", "#raster-chart .nsewdrag")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", raster)
    ActionChains(browser).move_to_element_with_offset(raster, 0, -raster.size["height"] // 2 + 20).click().perform()
    wait_for(browser, "return document.getElementById('traces').dataset.row === '0'")


def test_the_raster_counts_rois_from_0_as_the_table_does(browser: Any) -> None:
    raster = "document.getElementById('raster-chart')"
    first, names = browser.execute_script(f"return [{raster}.data[0].y0, {raster}.data[0].customdata.map((r) => r[0])]")
    assert first == 0
    assert names == [f"ROI {roi}" for roi in range(N_ROIS)]
    ticks = f"return [...{raster}.querySelectorAll('.ytick text')].map((tick) => tick.textContent)"
    assert sorted(browser.execute_script(ticks)) == [str(roi) for roi in range(N_ROIS)]


def test_zooming_shows_every_frame_as_it_was(browser: Any) -> None:
    browser.execute_script("document.querySelector('#rows tr[data-row=\"2\"] button').click()")
    wait_for(browser, "return document.getElementById('traces').dataset.row === '2'")
    assert int(browser.execute_script("return document.getElementById('traces').dataset.framesPerColumn")) > 1
    browser.execute_script("Plotly.relayout('traces', {'xaxis.range': [40, 45]})")
    wait_for(browser, "return document.getElementById('traces').dataset.framesPerColumn === '1'")
    assert browser.execute_script("return document.getElementById('shown').textContent") == "Shown: every frame."
    x, y = browser.execute_script("const t = document.getElementById('traces').data[0]; return [t.x, t.y]")
    frames = np.rint((np.array(x) - 1.25) * 30).astype(int)
    wanted = simulated_dff(N_ROIS, N_FRAMES)[2]
    assert len(frames) > 150
    np.testing.assert_array_equal(np.diff(frames), 1)
    np.testing.assert_allclose(np.array(y, float), wanted[frames], atol=0.02)


def test_the_keyboard_moves_between_rois_and_in_time(browser: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    traces = browser.find_element("id", "traces")
    browser.execute_script("document.querySelector('#rows tr[data-row=\"2\"] button').click()")
    wait_for(browser, "return document.getElementById('traces').dataset.row === '2'")
    traces.send_keys(Keys.ARROW_DOWN)
    wait_for(browser, "return document.getElementById('traces').dataset.row === '3'")
    traces.send_keys("0")
    span = "const [from, to] = document.getElementById('traces').layout.xaxis.range; return to - from"
    wait_for(browser, f"{span} > 130")
    traces.send_keys("+")
    wait_for(browser, f"{span} < 70")
    assert browser.execute_script("return document.activeElement.id") == "traces"


def test_discrete_spikes_stand_where_they_are_in_the_file(browser: Any) -> None:
    browser.execute_script("document.querySelector('#rows tr[data-row=\"4\"] button').click()")
    wait_for(browser, "return document.getElementById('traces').dataset.row === '4'")
    browser.execute_script("Plotly.relayout('traces', {'xaxis.range': [60, 110]})")
    spikes = "const [spikes] = document.getElementById('traces').data.filter((t) => t.name === 'discrete spikes');"
    found = wait_for(browser, f"{spikes} return spikes.text[0].startsWith('spike at') && spikes.x")
    np.testing.assert_allclose(found, [1.25 + 2000 / 30, 84.0, 100.0], atol=1 / 30 / 16)


def test_only_rois_with_a_kind_of_warning_are_listed_on_request(browser: Any) -> None:
    browser.execute_script("document.querySelector('#warnings button').click()")
    assert browser.execute_script("return document.getElementById('matches').textContent").endswith("of 5 shown")
    listed = browser.execute_script("return [...document.querySelectorAll('#rows tbody tr')].map((r) => r.dataset.row)")
    assert 0 < len(listed) <= 5
    browser.execute_script("document.getElementById('clear').click()")
    assert browser.execute_script("return document.querySelectorAll('#rows tbody tr').length") == 5


def test_a_page_too_small_for_every_frame_says_so_and_keeps_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_rois, n_frames, most_bytes = 20, 12_000, 2_896_000
    monkeypatch.setattr(page_module, "MOST_BYTES", most_bytes)
    path = dff_recording(tmp_path / "r.nwb", simulated_dff(n_rois, n_frames))
    write_run(path, run_record(path, n_rois, n_frames, noise_levels=np.full(n_rois, 2, np.float32)))
    page = write_report(path, tmp_path / "r.html", detail=[5])
    assert page.stat().st_size <= most_bytes
    steps = facts_of(page)["rows"]["frames_per_step"]
    assert steps[5] == 1
    coarse = next(step for step in steps if step > 1)
    assert f"every frame of {steps.count(1)} of 20 ROIs" in words_of(page)
    assert f"largest value of every {coarse} frames" in words_of(page)
    with chromium(tmp_path / "profile") as browser:
        open_page(browser, page)
        roi = next(roi for roi, step in enumerate(steps) if step > 1)
        browser.execute_script(f"document.querySelector('#rows tr[data-row=\"{roi}\"] button').click()")
        wait_for(browser, f"return document.getElementById('traces').dataset.row === '{roi}'")
        browser.execute_script("Plotly.relayout('traces', {'xaxis.range': [100, 130]})")
        wait_for(browser, f"return document.getElementById('traces').dataset.framesPerColumn === '{coarse}'")
        shown = browser.execute_script("return document.getElementById('shown').textContent")
        assert "Zooming in shows nothing finer" in shown
        assert console_problems(browser) == []


def test_a_pause_is_a_pause_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)
    times = 5 + np.arange(600) / 30
    times[300:] += 20
    dff = simulated_dff(2, 600)
    result = annotate(dff_recording(tmp_path / "r.nwb", dff, timestamps=times), spikes="conserved")
    with open_nwb(result.output) as (nwbfile, _):
        stored = np.sort(nwbfile.processing["ophys"]["InferredSpikes"]["spike_times"][0])
    page = write_report(result.output, tmp_path / "r.html")
    assert "2 ROIs at 30 Hz in 2 stretches" in words_of(page)
    with chromium(tmp_path / "profile") as browser:
        open_page(browser, page)
        browser.execute_script("document.querySelector('#rows tr[data-row=\"0\"] button').click()")
        wait_for(browser, "return document.getElementById('traces').dataset.row === '0'")
        of_row = "const d = document.getElementById('traces').data;"
        x, y = browser.execute_script(f"{of_row} return [d[0].x, d[0].y]")
        (apart,) = (at for at, value in enumerate(y) if value is None)
        assert x[apart - 1] == pytest.approx(times[299], abs=0.05)
        assert x[apart] == pytest.approx(times[300], abs=0.05)
        spikes = browser.execute_script(f"{of_row} return d.filter((t) => t.name === 'discrete spikes')[0].x")
        np.testing.assert_allclose(spikes, stored, atol=1 / 30 / 16)
        end = "const [d] = document.getElementById('raster-chart').data; return d.x0 + d.dx * (d.z[0].length - 0.5)"
        assert browser.execute_script(end) == pytest.approx(times[-1], abs=0.1)
        assert console_problems(browser) == []
