"""Tables: aligned on a terminal, tabs in a pipe."""

import pytest
import rich.console

from nwb_cascade.cli.tables import print_table

COLUMNS = ("Name", "Rate (Hz)", "Indicators", "From")
ROWS = [
    (
        "a-model-of-a-long-name-of-45-characters-hence",
        "30",
        ", ".join(["GCaMP6f", "jGCaMP8s (interneuron)"] * 5),
        "user",
    ),
    ("b", "1 to 120", "", "bundled"),
]


def test_pipes_get_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(COLUMNS, ROWS)
    assert capsys.readouterr().out.splitlines() == ["\t".join(cells) for cells in (COLUMNS, *ROWS)]


def test_terminals_get_columns_that_fit_and_long_cells_below(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rich.console.Console, "is_terminal", True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")  # no colours
    print_table(COLUMNS, ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "│ a-model-of-a-long-name-of-45-characters-hence │ 30        │ user    │" in lines
    below = lines[lines.index(ROWS[0][0]) + 1 :]
    assert below[0].startswith("    Indicators: GCaMP6f, jGCaMP8s (interneuron), ")
    assert all(line.startswith("    ") for line in below)
