"""The explorer of ground truth: cells, spikes, rates and scores on one page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ground_truth_nwb.simulated_set import simulated_set_folder
from ground_truth_nwb.write import write_cell
from nwb_cascade.cli.explore import command
from nwb_cascade.errors import InputError, NoModelError
from nwb_cascade.report.cell_frames import CellInference, cell_frames, cell_scores
from nwb_cascade.report.explore import write_explorer
from tests.integration.test_report import facts_of, words_of
from tests.support.browser import chromium, console_problems, open_page, wait_for
from tests.support.ground_truth_files import make_cell

pytest.importorskip("plotly", reason="reports need plotly: pip install 'nwb-cascade[report]'")

KERNEL = np.array([0.25, 0.5, 0.25])


def half_of_dff(dff: Any, imaging_rate: float, indicator: str, species: str | None) -> CellInference:
    """A model that knows every indicator but one."""
    if indicator == "OGB-1":
        raise NoModelError("No model was trained for OGB-1.")
    rates = np.maximum(dff, 0) / 2
    return CellInference(rates, rates / 4, KERNEL, "Half")


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_explorer(simulated_set_folder(), tmp_path_factory.mktemp("page") / "explore.html", infer=half_of_dff)


def columns_of(page: Path) -> dict[str, list[Any]]:
    return {column["key"]: column["values"] for column in facts_of(page)["columns"]}


def test_trials_stand_end_to_end_and_keep_their_spikes() -> None:
    cell = make_cell()
    frames = cell_frames(cell)
    rate = frames.imaging_rate
    first = cell.trials[0]
    np.testing.assert_array_equal(frames.dff[: first.n_frames], first.dff)
    assert not frames.in_trial[first.n_frames : first.n_frames + int(np.ceil(rate))].any()
    inside = first.spike_times_s[first.spike_times_s < first.time_s[-1] + 0.5 / rate]
    np.testing.assert_allclose(frames.spike_frames[: inside.size], inside * rate)
    assert frames.dff.size == frames.in_trial.size


def test_a_faster_cell_is_averaged_down_and_a_slower_one_is_not() -> None:
    cell = make_cell()
    assert cell_frames(cell, 10.0).imaging_rate == 10.0
    assert cell_frames(cell, 100.0).imaging_rate == pytest.approx(20.0, rel=0.02)


def test_rates_that_are_the_smoothed_spikes_score_perfectly() -> None:
    from nwb_cascade.core.kernels import smooth

    frames = cell_frames(make_cell())
    counts = np.bincount(np.floor(frames.spike_frames + 0.5).astype(int), minlength=frames.dff.size).astype(float)
    truth = smooth(counts, frames.in_trial, kernel=KERNEL)
    scores = cell_scores(frames, CellInference(truth, truth, KERNEL, "Truth"))
    assert scores.correlation == pytest.approx(1)
    assert scores.error == pytest.approx(0)


def test_every_cell_is_a_row_with_its_scores(explorer: Path) -> None:
    columns = columns_of(explorer)
    assert sorted(columns["indicator"]) == ["GCaMP6f", "GCaMP6s", "OGB-1", "jGCaMP8m"]
    ogb = columns["indicator"].index("OGB-1")
    assert columns["correlation"][ogb] is None
    assert columns["warnings"][ogb].startswith("No inferred rate: No model was trained for OGB-1.")
    assert all(value > 0 for row, value in enumerate(columns["correlation"]) if row != ogb)
    assert "rates inferred by Half" in words_of(explorer)


def test_the_page_begins_with_cells_spikes_and_scores(explorer: Path) -> None:
    html = explorer.read_text(encoding="utf-8")
    assert re.findall(r'<section id="([a-z]+)"', html) == ["headline", "datasets", "population", "browser"]
    labels = re.findall(r'class="label">([^<]+)<', html)
    assert labels == ["cells", "recorded spikes", "correlation of the median cell", "cell with remarks"]


def test_without_a_model_the_recorded_data_are_shown(tmp_path: Path) -> None:
    page = write_explorer(simulated_set_folder(), tmp_path / "e.html", imaging_rate=10.0)
    assert facts_of(page)["has"] == {"dff": True, "rate": False, "deviation": False, "spikes": True}
    assert "correlation" not in columns_of(page)
    assert max(columns_of(page)["imaging_rate"]) <= 10.5


def test_cells_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        write_cell(make_cell(cell_id=f"cell-{number}", animal_id=f"a{number}"), tmp_path)
    columns = columns_of(write_explorer(tmp_path, tmp_path / "e.html"))
    assert [name.rpartition("cell-")[2] for name in columns["id"]] == ["1", "2", "10"]


def test_the_command_explores_without_inference(tmp_path: Path) -> None:
    page = tmp_path / "e.html"
    result = CliRunner().invoke(command, [str(simulated_set_folder()), "-o", str(page), "--no-infer"])
    assert result.exit_code == 0, result.output
    assert "Wrote" in result.output
    assert facts_of(page)["has"]["rate"] is False


def test_bad_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Expected ground truth as NWB in .*, found none"):
        write_explorer(tmp_path, tmp_path / "e.html")
    with pytest.raises(InputError, match="received the folder"):
        write_explorer(simulated_set_folder(), tmp_path)
    with pytest.raises(InputError, match="positive imaging rate"):
        write_explorer(simulated_set_folder(), tmp_path / "e.html", imaging_rate=0.0)


def test_a_browser_draws_cells_and_sorts_them(explorer: Path, tmp_path: Path) -> None:
    pytest.importorskip("selenium", reason="browser tests need selenium: pip install selenium")
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select

    with chromium(tmp_path / "profile") as browser:
        open_page(browser, explorer)
        assert console_problems(browser) == []
        names = browser.execute_script("return document.getElementById('traces').data.map((t) => t.name)")
        assert "recorded spikes" in names
        for name, n_cells in (("rate-chart", 4), ("noise-chart", 4), ("correlation-chart", 3)):  # one has no rates
            assert sum(browser.execute_script(f"return [...document.getElementById('{name}').data[0].y]")) == n_cells
        chart = "document.getElementById('raster-chart')"
        assert browser.execute_script(f"return [{chart}.data[0].z.length, {chart}.dataset.order]") == [4, "file"]
        Select(browser.find_element("id", "raster-order")).select_by_value("rate")
        wait_for(browser, f"return {chart}.dataset.order === 'rate'")
        firing = columns_of(explorer)["firing"]
        busiest = int(np.argmax(firing))
        browser.execute_script(f"document.querySelector('#rows tr[data-row=\"{busiest}\"] button').click()")
        wait_for(browser, f"return document.getElementById('traces').dataset.row === '{busiest}'")
        browser.find_element("id", "raster-chart").send_keys(Keys.ARROW_DOWN)
        second = int(np.argsort(firing)[-2])
        wait_for(browser, f"return document.getElementById('traces').dataset.row === '{second}'")
        heads = browser.find_elements("css selector", "#rows th button")
        next(head for head in heads if head.text == "Noise level ν").click()
        column = "return [...document.querySelectorAll('#rows tbody tr')].map((r) => Number(r.cells[4].textContent))"
        noise = browser.execute_script(column)
        assert noise == sorted(noise)
        assert wait_for(browser, "return document.querySelector('#rows th[aria-sort]').textContent.includes('▲')")
