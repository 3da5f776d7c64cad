"""Figures for papers show the numbers of the file."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from nwb_cascade.errors import InputError
from nwb_cascade.report.examples import spike_examples
from nwb_cascade.report.figures import examples_figure, noise_figure, population_figure, roi_figure
from tests.support.recordings import dff_recording, simulated_dff
from tests.support.run_records import run_record, write_run

pytest.importorskip("matplotlib", reason="figures need matplotlib: pip install 'nwb-cascade[report]'")


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    path = dff_recording(tmp_path / "r.nwb", simulated_dff())
    write_run(path, run_record(path))
    return path


def test_one_roi_is_drawn_as_it_is_in_the_file(annotated: Path, tmp_path: Path) -> None:
    figure = roi_figure(annotated, 2)
    dff, rates = (axes.lines[0] for axes in figure.axes)
    np.testing.assert_array_equal(dff.get_ydata(), simulated_dff()[2])
    np.testing.assert_array_equal(rates.get_ydata(), run_record(annotated).expected_spikes[2])
    np.testing.assert_allclose(dff.get_xdata()[[0, -1]], [1.25, 1.25 + 299 / 30])
    figure.savefig(tmp_path / "roi.pdf")
    assert (tmp_path / "roi.pdf").stat().st_size > 2000


def test_a_part_of_the_recording_is_drawn(annotated: Path) -> None:
    times = roi_figure(annotated, 0, start_s=2.0, stop_s=3.0).axes[0].lines[0].get_xdata()
    assert times.min() >= 2.0
    assert times.max() <= 3.0
    assert len(times) == 30


def test_what_is_not_in_the_file_is_refused(annotated: Path) -> None:
    with pytest.raises(InputError, match=r"id of an ROI in .* received 9"):
        roi_figure(annotated, 9)
    with pytest.raises(InputError, match=r"between 90 and 95 s; .* frames from 1.25 to 11.2"):
        roi_figure(annotated, 0, start_s=90, stop_s=95)


def test_the_population_is_drawn_in_spikes_per_second(annotated: Path) -> None:
    shown = population_figure(annotated).axes[0].images[0].get_array()
    wanted = 30 * run_record(annotated).expected_spikes
    np.testing.assert_array_equal(shown.mask, np.isnan(wanted))
    clipped = np.minimum(wanted, np.nanpercentile(wanted, 99.5))
    np.testing.assert_allclose(shown.filled(np.nan), clipped, atol=30 / 254)


@pytest.mark.parametrize("n_rois", [1, 3, 40])
def test_rois_have_whole_numbers_from_0_on_the_axis(tmp_path: Path, n_rois: int) -> None:
    path = dff_recording(tmp_path / "r.nwb", simulated_dff(n_rois, 300))
    write_run(path, run_record(path, n_rois, roi_warnings=()))
    axes = population_figure(path).axes[0]
    assert axes.get_ylim() == (n_rois - 0.5, -0.5)
    shown = [tick for tick in axes.get_yticks() if 0 <= tick < n_rois]
    assert shown
    assert all(tick == round(tick) for tick in axes.get_yticks())


def test_every_roi_is_counted_once_among_the_noise_levels() -> None:
    figure = noise_figure(np.array([1.0, 2.0, 3.0, 12.0, np.nan]), [2.0, 8.0], quieter_is_covered=True)
    trained, untrained = (sum(bar.get_height() for bar in bars) for bars in figure.axes[0].containers)
    assert (trained, untrained) == (3, 1)


def test_examples_are_drawn_at_every_noise_level() -> None:
    examples = spike_examples([2.0, 6.0], 10.0, "GCaMP6s")
    figure = examples_figure(examples)
    assert len(figure.axes) == 6
    np.testing.assert_array_equal(figure.axes[1].lines[0].get_ydata(), examples.cells[0].panels[1].dff)


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"nwb-cascade\[report\]"):
        noise_figure(np.ones(3))
