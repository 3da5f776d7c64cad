"""Names from files steer no terminal, whichever command shows them."""

import re
from pathlib import Path

import h5py
import pytest
from click.testing import CliRunner

import nwb_cascade.cli
from nwb_cascade.cli import main
from nwb_cascade.cli.terminal import printable
from tests.support.recordings import dff_recording, simulated_dff

SERIES = "/processing/ophys/DfOverF/RoiResponseSeries"
STEERING = "\x1b[31m\x1b]0;title\x07\u202ered"


@pytest.mark.parametrize(
    ("words", "is_broken"),
    [
        (("inspect",), False),
        (("inspect",), True),
        (("infer", "--dry-run"), True),
        (("archive", "plan", "-o", "manifest.jsonl"), True),
        (("infer", f"--{STEERING}"), False),
    ],
)
def test_a_name_in_a_file_steers_no_terminal(
    tmp_path: Path, words: tuple[str, ...], is_broken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = dff_recording(tmp_path / "a.nwb", simulated_dff(2, 100))
    with h5py.File(path, "r+") as file:
        file.move(SERIES, f"{SERIES}{STEERING}")
        if is_broken:
            file[f"{SERIES}{STEERING}/data"].attrs["conversion"] = "much"
    result = CliRunner().invoke(main, [*words, str(path)])
    assert r"\x1b[31m" in result.output
    assert re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", result.output) is None


def test_letters_of_all_languages_line_ends_and_tabs_stay():
    assert printable("größe\t脑\n") == "größe\t脑\n"
    assert printable("a\tb", kept="") == r"a\tb"


def test_commands_write_by_nothing_else():
    folder = Path(nwb_cascade.cli.__file__).parent
    writers = {
        path.name for path in folder.glob("*.py") if re.search(r"click\.(s?echo|secho)\(|\bprint\(", path.read_text())
    }
    assert writers == {"terminal.py", "tables.py", "archive_progress.py"}  # the last two by rich, what is printable
