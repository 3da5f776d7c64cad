"""Every notebook runs from top to bottom in a kernel of its own, and is stored without outputs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.fresh_process import with_the_checkout

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# Outside of this process, whose warnings are errors: those of Jupyter are not ours.
EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
NotebookClient(notebook, timeout=250, kernel_name="python3", resources={"metadata": {"path": "."}}).execute()
nbformat.write(notebook, "executed.ipynb")
"""
# What each says at its end, which it could not if a step before had failed without a word.
SAYS = {
    "explore_ground_truth.ipynb": "Wrote explore.html",
    "first_look.ipynb": "spikes found:",
    "train_on_own_cells.ipynb": "(2, 600) us, in preparation",
    "whole_dandiset.ipynb": "3 rows; columns: job,",
}
# A command of the shell that fails does not stop a notebook.
FAILURES = ("Error: ", "Traceback", "Usage: ")


def test_every_notebook_is_run() -> None:
    assert [path.name for path in NOTEBOOKS] == sorted(SAYS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_from_top_to_bottom(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    command = [sys.executable, "-c", EXECUTE, str(path)]
    run = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, env=with_the_checkout(), timeout=290
    )
    assert run.returncode == 0, run.stderr[-3000:]
    executed = json.loads((tmp_path / "executed.ipynb").read_text(encoding="utf-8"))
    said = "".join(output_texts(executed))
    assert SAYS[path.name] in said
    assert [word for word in FAILURES if word in said] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_installs_what_is_missing_and_holds_no_outputs(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert "%pip install" in "".join(code[0]["source"])


def output_texts(notebook: dict[str, Any]) -> list[str]:
    """Texts that the cells printed, in order."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return ["".join(output.get("text", "")) for output in outputs]
