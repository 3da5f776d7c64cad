"""The population on the page of a recording, in a browser: field of view, heat map and rates around events."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nwb_cascade.annotation.annotate
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.core.count_model import CountModel
from nwb_cascade.core.spike_counts import WholeCounts
from nwb_cascade.nwb.stored_run import open_run
from nwb_cascade.report import write_report
from nwb_cascade.report.recording_rows import _interval_columns
from tests.integration.test_report import facts_of, words_of
from tests.support.browser import chromium, console_problems, open_page, wait_for
from tests.support.fake_runs import fake_run
from tests.support.field_recordings import SIDE, centres, field_recording

pytest.importorskip("plotly", reason="reports need plotly: pip install 'nwb-cascade[report]'")

N_ROIS = 9
SHOWN = "return document.getElementById('traces').dataset.row"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a recording with masks, a mean image and trials; every second ROI answers to them."""
    folder = tmp_path_factory.mktemp("field")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)
        result = annotate(field_recording(folder / "field.nwb", N_ROIS))
    return write_report(result.output, folder / "report.html")


@pytest.fixture(scope="module")
def browser(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with chromium(tmp_path_factory.mktemp("profile") / "profile") as started:
        open_page(started, report)
        yield started


def choose(browser: Any, field: str, value: str, chart: str, told: str) -> None:
    """Pick an entry of a field as a person does, and wait until a chart shows it."""
    from selenium.webdriver.support.ui import Select

    Select(browser.find_element("id", field)).select_by_value(value)
    wait_for(browser, f"return document.getElementById('{chart}').dataset.{told} === '{value}'")


def click_in(browser: Any, chart: str, share_x: float, share_y: float) -> None:
    """Click in a chart, at a share of its width from the left and of its height from the top."""
    from selenium.webdriver import ActionChains

    area = browser.find_element("css selector", f"#{chart} .nsewdrag")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", area)
    x, y = (share_x - 0.5) * area.size["width"], (share_y - 0.5) * area.size["height"]
    ActionChains(browser).move_to_element_with_offset(area, int(x), int(y)).click().perform()


def test_the_page_says_what_the_field_of_view_shows(report: Path) -> None:
    assert "The masks of the ROIs over the picture ophys/Pictures/mean of the file" in words_of(report)


def test_a_click_on_an_roi_in_the_field_of_view_selects_it(browser: Any) -> None:
    for roi in (7, 2):
        x, y = centres(N_ROIS)[roi]
        click_in(browser, "map-chart", (x + 0.5) / SIDE[0], (y + 0.5) / SIDE[1])
        wait_for(browser, f"{SHOWN} === '{roi}'")
        mark = browser.execute_script(
            "const {data} = document.getElementById('map-chart'); return data[data.length - 1]"
        )
        assert [mark["x"], mark["y"]] == [[x], [y]]
    assert console_problems(browser) == []


def test_the_arrow_keys_go_to_the_neighbour_in_their_direction(browser: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.execute_script("document.querySelector('#rows tr[data-row=\"4\"] button').click()")
    wait_for(browser, f"{SHOWN} === '4'")
    chart = browser.find_element("id", "map-chart")
    for key, roi in ((Keys.ARROW_LEFT, 7), (Keys.ARROW_UP, 6), (Keys.ARROW_RIGHT, 3), (Keys.ARROW_DOWN, 4)):
        chart.send_keys(key)
        wait_for(browser, f"{SHOWN} === '{roi}'")


def test_rois_are_coloured_by_rate_noise_or_warnings(browser: Any, report: Path) -> None:
    facts = facts_of(report)
    columns = {column["key"]: column["values"] for column in facts["columns"]}
    with open_run(report.with_name("field_spikes.nwb")) as run:
        warned = Counter(warning.roi for warning in run.roi_warnings)
    n_warnings = [warned[roi] for roi in range(N_ROIS)]
    for by, values in (("noise", columns["noise"]), ("warnings", n_warnings), ("rate", columns["rate"])):
        choose(browser, "map-colour", by, "map-chart", "colour")
        coloured = browser.execute_script("return document.getElementById('map-chart').data[1].z")
        for roi, (x, y) in enumerate(centres(N_ROIS)):
            assert coloured[y][x] == pytest.approx(values[roi], rel=1e-5)
        assert coloured[0][0] is None
    assert console_problems(browser) == []


def test_the_heat_map_sorts_and_a_click_selects_in_the_order_that_is_shown(browser: Any, report: Path) -> None:
    facts = facts_of(report)
    rates = next(column["values"] for column in facts["columns"] if column["key"] == "rate")
    in_file = browser.execute_script("return document.getElementById('raster-chart').data[0].z")
    orders = {"rate": np.argsort(-np.array(rates)), "place": np.argsort(centres(N_ROIS)[:, 0])}
    for by, order in orders.items():
        choose(browser, "raster-order", by, "raster-chart", "order")
        assert browser.execute_script("return document.getElementById('raster-chart').data[0].z") == [
            in_file[roi] for roi in order
        ]
        click_in(browser, "raster-chart", 0.5, 1.5 / N_ROIS)
        wait_for(browser, f"{SHOWN} === '{order[1]}'")
        mark = browser.execute_script("return document.getElementById('raster-chart').layout.shapes[0].y0")
        assert mark == 1
    choose(browser, "raster-order", "correlation", "raster-chart", "order")
    names = browser.execute_script(
        "return document.getElementById('raster-chart').data[0].customdata.map((row) => Number(row[0].split(' ')[1]))"
    )
    assert sorted(names) == list(range(N_ROIS))
    places = [place for place, roi in enumerate(names) if roi % 2 == 0]
    assert np.diff(places).tolist() == [1] * (len(places) - 1), "those that answer stand together"
    choose(browser, "raster-order", "file", "raster-chart", "order")
    assert console_problems(browser) == []


def test_the_keyboard_moves_along_the_heat_map(browser: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    choose(browser, "raster-order", "place", "raster-chart", "order")
    order = np.argsort(centres(N_ROIS)[:, 0])
    browser.execute_script(f"document.querySelector('#rows tr[data-row=\"{order[3]}\"] button').click()")
    wait_for(browser, f"{SHOWN} === '{order[3]}'")
    browser.find_element("id", "raster-chart").send_keys(Keys.ARROW_DOWN)
    wait_for(browser, f"{SHOWN} === '{order[4]}'")
    choose(browser, "raster-order", "file", "raster-chart", "order")


def events_of_page(browser: Any) -> tuple[list[Any], list[Any]]:
    """What the charts around events show: means of all ROIs, and single trials of the selected one."""
    means, traces = browser.execute_script(
        "return [document.getElementById('event-population').data[0].z, document.getElementById('event-chart').data]"
    )
    return means, next(trace["z"] for trace in traces if trace["type"] == "heatmap")


def select(browser: Any, roi: int) -> None:
    browser.execute_script(f"document.querySelector('#rows tr[data-row=\"{roi}\"] button').click()")
    wait_for(browser, f"return document.getElementById('event-chart').dataset.row === '{roi}'")


def test_single_trials_agree_with_the_means_and_with_the_file(browser: Any, report: Path) -> None:
    for roi in (2, 3):
        select(browser, roi)
        means, trials = events_of_page(browser)
        assert len(trials) == 23
        shown = np.nanmean(np.array(trials, float), axis=0)
        np.testing.assert_allclose(shown, np.array(means[roi], float), atol=0.05)
        answer = shown[20:30].mean() / max(shown[:18].mean(), 0.1)
        assert answer > 5 if roi % 2 == 0 else answer < 2


def test_trials_are_told_apart_by_a_column_of_their_table(browser: Any) -> None:
    select(browser, 4)
    _, together = events_of_page(browser)
    from selenium.webdriver.support.ui import Select

    Select(browser.find_element("id", "event-split")).select_by_value("side")
    wait_for(browser, "return document.getElementById('event-chart').data.some((trace) => trace.name === 'right')")
    _, apart = events_of_page(browser)
    assert apart == together[1::2] + together[::2], "left, then right"
    assert console_problems(browser) == []


def test_any_table_of_intervals_can_be_picked(browser: Any) -> None:
    from selenium.webdriver.support.ui import Select

    field = Select(browser.find_element("id", "event-kind"))
    assert [option.text for option in field.options] == ["trials, start_time (23)", "gratings, start_time (12)"]
    field.select_by_value("1")
    wait_for(browser, "return document.getElementById('event-chart').dataset.kind === '1'")
    assert len(events_of_page(browser)[1]) == 12
    assert browser.execute_script("return document.getElementById('event-note').textContent") == "12 events."
    click_in(browser, "event-population", 0.5, 6.5 / N_ROIS)
    wait_for(browser, f"{SHOWN} === '6'")
    assert console_problems(browser) == []


def test_a_trial_beside_a_pause_has_no_values_from_beyond_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.recordings import add_dff, bare_nwbfile, simulated_dff, write_recording

    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)
    times = np.concatenate([np.arange(300) / 30, 60 + np.arange(300) / 30])
    nwbfile = bare_nwbfile()
    add_dff(nwbfile, np.full((2, 600), 0.1) + simulated_dff(2, 600), timestamps=times)
    for start in (9.5, 60.5, 65.0):
        nwbfile.add_trial(start_time=start, stop_time=start + 1)
    page = write_report(annotate(write_recording(tmp_path / "r.nwb", nwbfile)).output, tmp_path / "r.html")
    with chromium(tmp_path / "profile") as browser:
        open_page(browser, page)
        select(browser, 0)
        _, trials = events_of_page(browser)
        before, after, within = np.array(trials, float)
        assert np.isnan(before[-20:]).all()
        assert np.isfinite(before[:20]).any()
        assert np.isnan(after[:5]).all()
        assert np.isfinite(within).all()
        assert console_problems(browser) == []


def test_the_counts_stand_in_ascending_order_and_a_click_selects(browser: Any, report: Path) -> None:
    columns = {column["key"]: column["values"] for column in facts_of(report)["columns"]}
    chart = "document.getElementById('count-chart')"
    shown = browser.execute_script(f"return {chart}.data[0].y")
    assert shown == sorted(columns["expected"])
    rois = np.argsort(columns["expected"], kind="stable")
    select(browser, int(rois[-1]))
    assert browser.execute_script(f"const [, mark] = {chart}.data; return [mark.x, mark.y]") == [[N_ROIS], [shown[-1]]]
    share = f"const axes = {chart}._fullLayout; return [[axes.xaxis, 3], [axes.yaxis, {shown[2]}]]"
    place = f"{share}.map(([axis, value]) => axis.c2p(value) / axis._length)"
    click_in(browser, "count-chart", *browser.execute_script(place))
    wait_for(browser, f"{SHOWN} === '{rois[2]}'")
    assert console_problems(browser) == []


def test_histograms_of_rates_and_noise_hold_every_roi(browser: Any) -> None:
    for name in ("rate-chart", "noise-chart"):
        counts = browser.execute_script(f"return document.getElementById('{name}').data.flatMap((bars) => [...bars.y])")
        assert sum(counts) == N_ROIS


def press(browser: Any, chart: str, *keys: str) -> None:
    """Press keys while a chart has the focus, as a person does who came there with the tabulator."""
    from selenium.webdriver.common.keys import Keys

    field = browser.find_element("id", chart)
    browser.execute_script("arguments[0].focus()", field)
    for key in keys:
        field.send_keys(getattr(Keys, key))


def test_the_keyboard_goes_through_a_histogram_and_lists_the_rois_of_a_bar(browser: Any, report: Path) -> None:
    facts = facts_of(report)
    rates = next(column["values"] for column in facts["columns"] if column["key"] == "rate")
    edges = next(one["edges"] for one in facts["histograms"] if one["element"] == "rate-chart")
    press(browser, "rate-chart", "END", "ENTER")
    busiest = [roi for roi, rate in enumerate(rates) if rate >= edges[-2] * (1 - 1e-5)]
    assert busiest
    listed = "return [...document.querySelectorAll('#rows tbody tr')].map((row) => Number(row.dataset.row)).sort()"
    assert browser.execute_script(listed) == busiest
    words = browser.find_element("id", "rate-chart-note").text
    assert words.startswith(f"{len(busiest)} ROIs between ")
    press(browser, "rate-chart", "HOME", "ARROW_RIGHT", "ARROW_LEFT")
    assert browser.execute_script("return document.getElementById('rate-chart').dataset.bin") == "0"
    browser.find_element("id", "clear").click()
    assert len(browser.execute_script(listed)) == N_ROIS
    press(browser, "noise-chart", "ARROW_RIGHT")
    assert "between" in browser.find_element("id", "noise-chart-note").text
    assert console_problems(browser) == []


def test_the_keyboard_goes_along_the_counts_and_the_means_around_events(browser: Any, report: Path) -> None:
    expected = next(column["values"] for column in facts_of(report)["columns"] if column["key"] == "expected")
    rois = [int(roi) for roi in np.argsort(expected, kind="stable")]
    press(browser, "count-chart", "HOME")
    wait_for(browser, f"{SHOWN} === '{rois[0]}'")
    press(browser, "count-chart", "ARROW_RIGHT")
    wait_for(browser, f"{SHOWN} === '{rois[1]}'")
    choose(browser, "raster-order", "file", "raster-chart", "order")
    select(browser, 2)
    press(browser, "event-population", "ARROW_DOWN")
    wait_for(browser, f"{SHOWN} === '3'")
    mark = "return document.getElementById('event-population').layout.shapes[1].y0"
    assert browser.execute_script(mark) == 3
    press(browser, "event-population", "ARROW_UP")
    wait_for(browser, f"{SHOWN} === '2'")
    assert console_problems(browser) == []


def test_dots_and_intervals_are_of_calibrated_counts_where_a_gain_is_known() -> None:
    model = CountModel(
        kind="unmet", mean=(0.0, 0.0, 0.0), spread=(-2.0, 0.0, 0.0, 0.0, 0.0), cell_sd=0.1, preparation_sd=0.1
    )
    sums, seconds, noise = np.array([10.0, 40.0]), np.array([60.0, 60.0]), np.array([2.0, 2.0])
    plain = _interval_columns(WholeCounts.of_sums(sums, seconds, noise, model))
    scaled = _interval_columns(WholeCounts.of_sums(sums, seconds, noise, model.scaled(3.0, 0.1)))
    assert [column.key for column in plain] == ["at_least", "at_most"]
    assert [column.key for column in scaled] == ["count", "at_least", "at_most"]
    for count, least, most in zip(*(column.values for column in scaled), strict=True):
        assert least <= count <= most
    assert min(scaled[1].values) > 10


def test_an_roi_without_values_is_grey_and_no_silent_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.run_records import run_record, write_run

    path = field_recording(tmp_path / "r.nwb", N_ROIS, 300)
    rates = np.full((N_ROIS, 300), 0.1, np.float32)
    rates[3] = np.nan
    write_run(path, run_record(path, N_ROIS, expected_spikes=rates))
    page = write_report(path, tmp_path / "r.html")
    facts = facts_of(page)
    assert facts["map"]["colourings"]["rate"]["values"][3] is None
    assert "1 without a value" in words_of(page)
    with chromium(tmp_path / "profile") as browser:
        open_page(browser, page)
        x, y = centres(N_ROIS)[3]
        layers = browser.execute_script(
            f"return document.getElementById('map-chart').data.slice(1, 3).map((layer) => layer.z[{y}][{x}])"
        )
        assert layers == [0, None]
        assert console_problems(browser) == []
