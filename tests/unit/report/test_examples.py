"""Examples of ground truth have the rate and the noise levels that were asked for."""

from __future__ import annotations

import numpy as np
import pytest

from ground_truth_nwb.simulated_set import simulated_set_folder
from nwb_cascade.core.noise import noise_level
from nwb_cascade.errors import InputError
from nwb_cascade.report.examples import spike_examples, typical_noise_levels


@pytest.mark.parametrize("folder", [None, simulated_set_folder()])
def test_panels_have_the_wanted_noise_level_and_rate(folder) -> None:
    examples = spike_examples([3.0, 7.0], 7.3, "GCaMP6f", folder=folder)
    assert examples.cells
    for cell in examples.cells:
        for panel, level in zip(cell.panels, (3.0, 7.0), strict=True):
            assert noise_level(panel.dff[None], 7.3)[0] == pytest.approx(level, rel=0.01)
            assert panel.dff.size == pytest.approx(20 * 7.3, abs=2)
            assert panel.spike_times_s.size
            assert ((panel.spike_times_s >= 0) & (panel.spike_times_s <= 20)).all()


def test_the_same_examples_come_every_time() -> None:
    first, second = (spike_examples([4.0], 5.0, None) for _ in range(2))
    np.testing.assert_array_equal(first.cells[0].panels[0].dff, second.cells[0].panels[0].dff)
    assert "indicator (unknown)" in first.source


def test_a_cell_that_is_noisier_has_no_panel() -> None:
    (quiet, wanted) = spike_examples([0.01, 5.0], 10.0, "GCaMP6f").cells[0].panels
    assert quiet is None
    assert wanted is not None


def test_cells_of_another_indicator_are_shown_and_said_to_be() -> None:
    examples = spike_examples([4.0], 5.0, "jRGECO1a", folder=simulated_set_folder())
    assert "None of this recording's indicator (jRGECO1a) is there" in examples.source


def test_a_folder_without_ground_truth_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="found none"):
        spike_examples([4.0], 5.0, None, folder=tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        spike_examples([4.0], 5.0, None, folder=tmp_path / "absent")


def test_typical_levels_are_percentiles_of_what_is_known() -> None:
    assert typical_noise_levels(np.array([np.nan, 0, 1, 2, 3, 4, 5], np.float32)) == (1.4, 3.0, 4.6)
    assert typical_noise_levels(np.array([2.0, 2.0], np.float32)) == (2.0,)
    assert typical_noise_levels(np.array([np.nan], np.float32)) == ()
