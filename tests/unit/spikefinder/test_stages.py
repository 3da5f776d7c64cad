"""The folder of a run: one file per finished stage, nothing of another run, nothing half."""

import numpy as np
import pytest

from nwb_cascade.errors import InputError
from nwb_cascade.spikefinder.settings import RunSettings
from nwb_cascade.spikefinder.stages import StageFolder


def test_a_finished_stage_is_read_not_made_again(tmp_path):
    made = []

    def make():
        made.append(1)
        return {"values": np.arange(3)}

    for _ in range(2):
        found = StageFolder(tmp_path / "out", {"seed": 0}).get("one", make)
        assert found["values"].tolist() == [0, 1, 2]
    assert len(made) == 1


def test_a_stage_that_was_killed_leaves_nothing_that_counts(tmp_path):
    stages = StageFolder(tmp_path / "out", {})

    def killed():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stages.get("one", killed)
    assert not list((tmp_path / "out").rglob("one*"))
    stages.get("two", lambda: {"values": 2})
    (tmp_path / "out" / "stages" / "one.npz").write_bytes(b"PK half of a file")
    assert stages.get("one", lambda: {"values": 1})["values"] == 1


def test_a_folder_of_another_run_is_refused_and_says_what_differs(tmp_path):
    StageFolder(tmp_path / "out", {"seeds": 1, "window": [20]})
    with pytest.raises(InputError, match=r"holds another run \(window was \[20\], now \[64\]\)"):
        StageFolder(tmp_path / "out", {"seeds": 1, "window": [64]})


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds other files"):
        StageFolder(tmp_path, {})
    with pytest.raises(InputError, match="is a file"):
        StageFolder(tmp_path / "thesis.tex", {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"windows": (3,)}, "at least 5 bins"),
        ({"windows": ()}, "at least 5 bins"),
        ({"epochs": 0}, "epochs of at least 1"),
        ({"balance": "other"}, "balance of pooled or neuron"),
        ({"clock": "other"}, "clock of published or aligned"),
    ],
)
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        RunSettings(**change)
