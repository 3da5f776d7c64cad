"""Whole runs give what they gave: run keys, stored values, JSON, messages and exit statuses, for every kind of input.

Only the command line and the public functions are used, so that the inside may change. Each of ``whole_runs/*.json``
names recordings (see `tests.support.golden_recordings`) and commands, and holds what these say and leave behind; real
numbers are compared to the tolerance of `tests.support.golden_content`. A change that is wanted, or the rest of a new
file that has ``recordings`` and the ``command`` of each of its ``steps``, is written by

    NWB_CASCADE_GOLDEN=write pytest tests/golden/test_whole_runs.py

and then read in the diff.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from click.testing import CliRunner

import nwb_cascade
from nwb_cascade.cli import main
from tests.support.dandi_content import Archive
from tests.support.dandi_server import DandiServer
from tests.support.golden_content import differences, plain, stored
from tests.support.golden_recordings import RATE, golden_dff, make_recordings

GOLDEN = Path(__file__).parent
CASES = sorted(path.stem for path in GOLDEN.glob("whole_runs/*.json"))
NUMBERS = re.compile(r"\[\s+([^][{}\"]+?)\s+\]")  # a list of them, written in one line
KINDS = (".nwb", ".zarr", ".npy", ".mat", ".json", ".jsonl")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a run, which is the current one; nothing of whoever runs the tests, nothing left to other tests."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    own = {"NWB_CASCADE_CACHE": str(tmp_path / "cache"), "NWB_CASCADE_MODELS": str(tmp_path / "models")}
    with mock.patch.dict(os.environ, DANDI_NO_ET="1", **own):
        for name in ("DANDI_INSTANCE", "DANDI_API_KEY", "NWB_CASCADE_REGISTRY"):
            os.environ.pop(name, None)
        yield folder


def said(command: str, here: Path, server: str) -> dict[str, Any]:
    """What a command says, and its exit status; of a wrong use the last line, as the rest is click's."""
    result = CliRunner().invoke(main, shlex.split(command.format(server=server)))
    assert isinstance(result.exception, SystemExit | None), result.exception
    stdout = json.loads(result.stdout) if "--json" in command and result.stdout else result.stdout.splitlines()
    stderr = result.stderr.splitlines()[-1 if result.exit_code == 2 else 0 :]
    return {"command": command, **plain({"exit": result.exit_code, "stdout": stdout, "stderr": stderr}, here)}


def everything_in(here: Path) -> dict[str, Any]:
    """What the files and Zarr stores of a folder hold."""
    found = [path for path in sorted(here.rglob("*")) if path.suffix in KINDS and ".zarr/" not in str(path)]
    return {str(plain(str(path), here)): stored(path, here) for path in found}


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What is new: files, and in copies of recordings the parts that the recording does not hold."""
    known = [part for name, content in before.items() if ".nwb" in name for part in content.items()]
    return {
        name: {key: part for key, part in content.items() if (key, part) not in known} if ".nwb" in name else content
        for name, content in after.items()
        if before.get(name) != content
    }


def compare(name: str, actual: Any) -> None:
    """Compare with a golden file, or write it."""
    path = GOLDEN / name
    if os.environ.get("NWB_CASCADE_GOLDEN") == "write":
        text = json.dumps(actual, indent=1, ensure_ascii=False) + "\n"
        path.write_text(NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text), encoding="utf-8")
    found = list(differences(json.loads(path.read_text(encoding="utf-8")), actual))
    assert not found, "\n".join([f"{path} differs in {len(found)} places:", *found[:20]])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Host and port of an archive that holds dff.nwb."""
    folder = tmp_path_factory.mktemp("archive")
    make_recordings(folder, "dff.nwb")
    archive = Archive()
    archive.add("000001").add("sub-1/sub-1_ses-a_ophys.nwb", folder / "dff.nwb")
    archive.dandisets["000001"].publish("0.240101.0001")
    with DandiServer(archive) as running:
        yield running.url.removeprefix("http://")


@pytest.mark.parametrize("name", CASES)
def test_commands_say_and_store_what_they_did(name: str, here: Path, server: str) -> None:
    case = json.loads((GOLDEN / f"whole_runs/{name}.json").read_text(encoding="utf-8"))
    if any("zarr" in recording for recording in case["recordings"]):
        pytest.importorskip("hdmf_zarr", reason="Zarr needs the extra 'zarr'")
    make_recordings(here, *case["recordings"])
    before = everything_in(here)
    steps = [said(step["command"], here, server) for step in case["steps"]]
    files = changes(before, everything_in(here))
    compare(f"whole_runs/{name}.json", {"recordings": case["recordings"], "steps": steps, "files": files})


def test_public_functions_give_what_they_gave(here: Path) -> None:
    make_recordings(here, "dff.nwb", "raw.nwb")
    model = nwb_cascade.load_model("cascade-30Hz-25ms")
    annotated = nwb_cascade.annotate("dff.nwb", model=model, sidecar=True, ensemble_std=False)
    spikes = nwb_cascade.annotate_spikes(annotated.output, in_place=True, spike_total="supported")
    inferred = nwb_cascade.infer(golden_dff(), RATE, indicator="GCaMP6f", kernel="causal", smoothing_s=0.05)
    arrays = ("expected_spikes", "ensemble_std", "noise_levels", "model_noise_levels", "valid_frames")
    actual = {
        "models": sorted(one.name for one in nwb_cascade.installed_models()),
        "load_model": {"sha256": model.sha256, "config": json.loads(model.config.to_json())},
        "annotate": annotated.to_dict(),
        "annotate_text": annotated.describe(),
        "annotate_spikes": spikes.to_dict(),
        "infer": {name: getattr(inferred, name) for name in (*arrays, "reason", "parameters", "model_sha256")},
        "infer_warnings": [asdict(warning) for warning in inferred.warnings],
        "inspect": [series.to_dict() for series in nwb_cascade.inspect("raw.nwb")],
    }
    compare("public_functions.json", plain(actual, here))
