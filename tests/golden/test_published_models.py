"""Imported Cascade models give what Cascade's own predict gave on the same recordings, to 1e-5 on every frame.

The references are outputs of Cascade (see shared/README.md); they are not committed, so these tests need the
shared folder.
"""

import numpy as np
import pytest
from scipy.io import loadmat

import nwb_cascade
from nwb_cascade.models.import_cascade import import_cascade
from tests.support.shared import shared_path

TOLERANCE = 1e-5
CASES = {
    "h5": ("OGB_zf_pDp_7.5Hz_smoothing200ms", "zf_pDp_OGB1_7.5Hz_plane01", 7.5),
    "pth": ("Global_EXC_30Hz_smoothing25ms", "Experiment_552195520_excerpt", 30.0),
}
REFERENCES = [
    ("h5", "reference_OGB_zf_pDp_7.5Hz_smoothing200ms_first120", "spike_prob", "nonnegative"),
    ("pth", "reference_Global_EXC_30Hz_smoothing25ms", "spike_prob", "nonnegative"),
    ("pth", "reference_Global_EXC_30Hz_thresholds", "raw", "raw"),
    ("pth", "reference_Global_EXC_30Hz_thresholds", "thresholded", "single-spike"),
]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Model, dF/F and imaging rate of a case, each loaded once."""
    loaded = {}

    def load(kind):
        if kind == "pth":
            pytest.importorskip("torch", reason="reading .pth needs the extra 'torch'")
        if kind not in loaded:
            name, recording, rate = CASES[kind]
            model = import_cascade(shared_path(f"cascade_models/{name}"), into=tmp_path_factory.mktemp("models"))
            dff = loadmat(shared_path(f"example_datasets/{recording}.mat"))["dF_traces"]
            loaded[kind] = model, dff, rate
        return loaded[kind]

    return load


@pytest.mark.parametrize(("kind", "file", "key", "threshold"), REFERENCES)
def test_published_alignment_reproduces_the_reference(case, kind, file, key, threshold):
    model, dff, rate = case(kind)
    reference = np.load(shared_path(f"cascade_models/{file}.npz"))[key]
    result = nwb_cascade.infer(dff[: len(reference)], rate, model=model, threshold=threshold, legacy_alignment=True)
    np.testing.assert_array_equal(np.isnan(result.expected_spikes), np.isnan(reference))
    np.testing.assert_allclose(result.expected_spikes, reference, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("kind", CASES)
def test_default_alignment_is_one_frame_later(case, kind):
    model, dff, rate = case(kind)
    published = nwb_cascade.infer(dff[:5], rate, model=model, legacy_alignment=True).expected_spikes
    default = nwb_cascade.infer(dff[:5], rate, model=model).expected_spikes
    np.testing.assert_array_equal(default[:, 33:-31], published[:, 32:-32])
