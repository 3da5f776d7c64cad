"""The command ``nwb-cascade ground-truth``: what it prints, and its exit status."""

import csv
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from nwb_cascade.cli import main
from tests.support.ground_truth_files import cascade_fields, write_cascade_mat


def run(*arguments, status=0):
    result = CliRunner().invoke(main, ["ground-truth", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


def rows_of(result):
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    root = tmp_path_factory.mktemp("cli")
    write_cascade_mat(root / "in", [cascade_fields(), {}])
    return root, run("convert", root / "in", root / "out", "--csv", root / "cells.csv")


def test_convert_prints_the_table_and_writes_the_csv(converted):
    root, result = converted
    ds30, everything = rows_of(result)
    assert (ds30["Data set"], ds30["Cells"], ds30["Trials"], ds30["Spikes"]) == ("DS30", "1", "1", "3")
    assert ds30["Dropped"] == "trial-without-imaging x 1"
    assert everything["Data set"] == "all"
    with open(root / "cells.csv", newline="") as file:
        assert [line["cell_id"] for line in csv.DictReader(file)] == ["jGCaMP8f-471993-1"]


def test_failed_source_gives_exit_status_1_after_the_table(tmp_path):
    write_cascade_mat(tmp_path / "in", [cascade_fields()])
    (tmp_path / "in" / "broken.mat").write_bytes(b"broken")
    result = run("convert", tmp_path / "in", tmp_path / "out", status=1)
    assert [row["Failed"] for row in rows_of(result)] == ["", "1", "1"]
    assert "FAILED" in result.stderr
    assert "broken.mat: ValueError: " in result.stderr
    assert len(list((tmp_path / "out").glob("sub-*/*.nwb"))) == 1


def test_summary_repeats_the_table(converted):
    root, result = converted
    assert rows_of(run("summary", root / "out")) == rows_of(result)
    (row,) = json.loads(run("summary", root / "out", "--json").stdout)
    assert row["minutes"] == pytest.approx(59 / 20 / 60)


def test_validate_says_that_the_folder_could_be_uploaded(converted):
    root, _ = converted
    assert "0 findings would stop an upload" in run("validate", root / "out").stdout
    assert json.loads(run("validate", root / "out", "--json").stdout) == []


def test_validate_gives_exit_status_1_for_a_broken_file(converted, tmp_path):
    root, _ = converted
    (tmp_path / "dandiset.yaml").write_bytes((root / "out" / "dandiset.yaml").read_bytes())
    (tmp_path / "sub-1").mkdir()
    (tmp_path / "sub-1" / "sub-1_ophys.nwb").write_bytes(b"broken")
    assert "GROUND_TRUTH.UNREADABLE" in run("validate", tmp_path, status=1).stdout


def test_list_shows_the_catalogue():
    rows = rows_of(run("list"))
    assert {"DS01", "DS33", "X-NAOMi", "SPIKEFINDER"} <= {row["Data set"] for row in rows}
    (ds30,) = (entry for entry in json.loads(run("list", "--json").stdout) if entry["id"] == "DS30")
    assert ds30["indicator"] == "jGCaMP8f"


def test_simulate_is_reproducible(tmp_path):
    options = ("--cells", 1, "--duration", 5, "--trials", 2, "--jitter", 0.001, "--indicator", "jGCaMP8m")
    for name in ("a", "b"):
        run("simulate", tmp_path / name, *options)
    one, other = (sorted((tmp_path / name).rglob("*.nwb")) for name in ("a", "b"))
    assert [path.name for path in one] == ["sub-sim-jGCaMP8m-0-1_ses-SIM-jGCaMP8m-0-1_ophys+icephys.nwb"]
    assert one[0].read_bytes() == other[0].read_bytes()


def test_fetch_refuses_unknown_data_sets_in_one_line(tmp_path):
    result = run("fetch", "DS99", "-o", tmp_path, status=1)
    assert result.stderr.startswith("Error: Expected a data set of the catalogue, received 'DS99'.")


def test_help_loads_no_heavy_library():
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom nwb_cascade.cli import main\n"
        "assert CliRunner().invoke(main, ['ground-truth', '--help']).exit_code == 0\n"
        "print([name for name in ('pynwb', 'h5py', 'dandi', 'scipy', 'numpy') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
