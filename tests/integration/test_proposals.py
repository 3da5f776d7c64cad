"""Every command that a message proposes runs as it stands there."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import nwb_cascade.annotation.annotate
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.archive.manifest import Header, write_manifest
from nwb_cascade.archive.run import Tally
from nwb_cascade.cli import COMMANDS, main
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.places import run_paths
from tests.support.fake_runs import fake_run
from tests.support.raw_recordings import RATE, raw_recording, traces
from tests.support.recordings import dff_recording, simulated_dff

RAW_RATES = ("--threshold", "raw", "--smoothing", 0.05)
PACKAGE = Path(nwb_cascade.__file__).parent


@pytest.fixture(autouse=True)
def _without_networks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)
    monkeypatch.setenv("NWB_CASCADE_MODELS", str(tmp_path / "models"))


def run(*words: object) -> Result:
    return CliRunner().invoke(main, list(map(str, words)))


def proposal(said: str) -> list[str]:
    """The words of the command in a message, up to the end of its clause; without the name of the program."""
    found: list[str] = []
    for word in shlex.split(said[said.index("nwb-cascade ") :].replace("\n", " ")):
        found.append(word.rstrip(".,;"))
        if word != found[-1]:
            break
    return found[1:]


def a_copy_made_otherwise(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = dff_recording(folder / "mouse 7 ü.nwb")
    run("infer", path)
    refused = run("infer", path, "--threshold", "raw", "--no-std", "--supported-spikes")
    assert refused.exit_code == 1
    return refused.stderr


def a_copy_of_dff_computed_otherwise(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = raw_recording(folder / "raw.nwb")
    run("infer", path, "--from-raw")
    refused = run("infer", path, "--from-raw", "--neuropil", "fit", "--percentile", 20, "--dff-preset", "suite2p")
    assert refused.exit_code == 1
    return refused.stderr


def a_copy_with_a_run_that_would_be_lost(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = dff_recording(folder / "it's.nwb")
    run("infer", path)
    return run("infer", path, "--run-name", "Other runs", "--overwrite").stderr


def no_rates(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return run("spikes", dff_recording(folder / "a b.nwb")).stderr


def a_matrix_without_rates(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    pytest.importorskip("plotly", reason="reports need plotly: pip install 'nwb-cascade[report]'")
    np.save(folder / "m 1.npy", simulated_dff())
    return run("report", folder / "m 1.npy", "-o", folder / "m.html").stderr


def a_folder_of_recordings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(folder)
    (folder / "all of them").mkdir()
    dff_recording(folder / "all of them" / "a.nwb")
    return run("infer", folder / "all of them", *RAW_RATES).stderr


def several_planes_of_suite2p(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    ops: Any = {"fs": RATE}
    for plane in (folder / "a session" / "plane0", folder / "a session" / "plane1"):
        plane.mkdir(parents=True)
        np.save(plane / "F.npy", traces()[0])
        np.save(plane / "ops.npy", ops)
    return run("infer", folder / "a session", *RAW_RATES).stderr


def a_copy_made_otherwise_with_json(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = dff_recording(folder / "a.nwb")
    run("infer", path)
    return run("infer", path, *RAW_RATES, "--json").stderr


def the_demo(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    annotation = annotate(dff_recording(folder / "demo.nwb"))
    numbers = {"n_true_spikes": 1, "n_expected_spikes": 1.0, "correlation": 1.0}
    done = SimpleNamespace(recording="demo.nwb", annotation=annotation, discrete=None, report=None, **numbers)
    monkeypatch.setattr("nwb_cascade.demo.run_demo", lambda *_, **__: done)
    return run("demo", "-o", folder / "demo").stdout


def a_run_of_an_archive_that_failed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    manifest = write_manifest(folder / "my jobs.jsonl", Header(("x",), "auto", {}, {}, "2026-01-01"), ())
    monkeypatch.setattr("nwb_cascade.archive.run.run_manifest", lambda *_, **__: Tally(1, failed=1))
    monkeypatch.setattr("nwb_cascade.cli.archive.asked_cluster", lambda *_, **__: nullcontext(SimpleNamespace()))
    monkeypatch.setattr("nwb_cascade.cli.archive_progress.run_progress", lambda _: nullcontext(lambda *_: None))
    return run("archive", "run", manifest, "--out", folder / "out").stderr


SITUATIONS: dict[str, tuple[Callable[..., str], ...]] = {
    "writers/nwb.py": (
        a_copy_made_otherwise,
        a_copy_of_dff_computed_otherwise,
        a_copy_with_a_run_that_would_be_lost,
    ),
    "nwb/stored_run.py": (no_rates,),
    "readers/stored_runs.py": (a_matrix_without_rates,),
    "readers/suite2p.py": (several_planes_of_suite2p,),
    "readers/folders.py": (a_folder_of_recordings,),
    "cli/demo.py": (the_demo,),
    "cli/infer.py": (a_copy_made_otherwise_with_json,),
    "cli/archive.py": (a_run_of_an_archive_that_failed,),
}


@pytest.mark.parametrize("situation", [one for some in SITUATIONS.values() for one in some])
def test_what_a_message_proposes_runs(
    situation: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = proposal(situation(tmp_path, monkeypatch))
    result = run(*words)
    assert result.exit_code == 0, (words, result.output)


def test_the_proposed_run_is_the_one_that_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = proposal(a_copy_of_dff_computed_otherwise(tmp_path, monkeypatch))
    assert words[:2] == ["infer", str(tmp_path / "raw_spikes.nwb")]
    assert words[2:] == [
        *("--from-raw", "--dff-preset", "suite2p", "--neuropil", "fit", "--percentile", "20.0"),
        *("--run-name", "InferredSpikeRates_2", "--in-place"),
    ]
    run(*words)
    with open_nwb(tmp_path / "raw_spikes.nwb") as (nwbfile, _):
        names = [path.rpartition("/")[2] for path in sorted(run_paths(nwbfile))]
    assert names == ["InferredSpikeRates", "InferredSpikeRates_2"]


@pytest.mark.parametrize("situation", [a_folder_of_recordings, several_planes_of_suite2p])
def test_a_command_for_other_sources_keeps_the_options(
    situation: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert " ".join(map(str, RAW_RATES)) in " ".join(proposal(situation(tmp_path, monkeypatch)))


def test_the_command_that_adds_a_run_keeps_the_options(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "mouse.nwb")
    run("infer", path)
    refused = run("infer", path, *RAW_RATES, "--run-name", "Raw rates", "--scratch-dir", tmp_path)
    words = proposal(refused.stderr)
    assert words[2:] == [*map(str, RAW_RATES), "--run-name", "Raw rates", "--in-place", "--scratch-dir", str(tmp_path)]
    assert run(*words).exit_code == 0
    with open_nwb(tmp_path / "mouse_spikes.nwb") as (nwbfile, _):
        assert nwbfile.processing["ophys"]["Raw rates"].threshold == "raw"


def test_a_proposed_command_has_the_options_that_only_the_command_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("plotly", reason="reports need plotly: pip install 'nwb-cascade[report]'")
    path = dff_recording(tmp_path / "mouse.nwb")
    run("infer", path)
    refused = run("infer", path, *RAW_RATES, "--report", "--json")
    words = proposal(refused.stderr)
    assert words[:3] == ["infer", "--report", "--json"]
    (record,) = json.loads(refused.stdout)
    assert "infer --report --json " in record["error"]
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert Path(json.loads(result.stdout)[0]["report"]).exists()


@pytest.mark.parametrize("flag", ["--overwrite", "--dry-run"])
@pytest.mark.parametrize("situation", ["lost", "planes"])
def test_what_may_be_replaced_or_is_only_tried_stays_in_a_proposed_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: str, situation: str
) -> None:
    if situation == "lost":
        path = dff_recording(tmp_path / "a.nwb")
        run("infer", path)
        run("infer", tmp_path / "a_spikes.nwb", "--in-place", "--run-name", "Other runs")
        refused = run("infer", path, "--run-name", "Third", flag)
    else:
        several_planes_of_suite2p(tmp_path, monkeypatch)
        refused = run("infer", tmp_path / "a session", *RAW_RATES, flag)
    assert proposal(refused.stderr).count(flag) == 1
    assert run(*proposal(refused.stderr)).exit_code == 0


def test_every_message_with_a_command_stands_above() -> None:
    """A command is put together by `proposed`, and every module that does so has a situation here."""
    proposing = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "proposed":
                proposing.add(path.relative_to(PACKAGE).as_posix())
            if isinstance(node, ast.JoinedStr):
                assert not any(ends_in_a_command(part) for part in node.values[:-1]), f"{path}: {ast.unparse(node)}"
    assert proposing == set(SITUATIONS)


def ends_in_a_command(part: Any) -> bool:
    """Whether a piece of a text ends with a command of ours, so that what follows is put into it."""
    text = part.value if isinstance(part, ast.Constant) else ""
    found = re.search(r"nwb-cascade ([a-z-]+)( [a-z-]+)* ?['\"]?$", text)
    return found is not None and found[1] in COMMANDS
