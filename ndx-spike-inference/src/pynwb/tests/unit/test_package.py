"""The package stands alone, and its README says what is true."""

from __future__ import annotations

import ast
import re
import runpy
from importlib.metadata import version
from pathlib import Path

import ndx_spike_inference
import pytest


def test_never_imports_nwb_cascade(project: Path) -> None:
    for path in (project / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] in ("nwb_cascade", "ground_truth_nwb")], path


def test_public_names_exist() -> None:
    assert all(hasattr(ndx_spike_inference, name) for name in ndx_spike_inference.__all__)


def test_the_version_is_the_installed_one() -> None:
    assert ndx_spike_inference.__version__ == version("ndx-spike-inference")
    with pytest.raises(AttributeError, match="no attribute 'version'"):
        _ = ndx_spike_inference.version  # type: ignore[attr-defined]


def test_readme_example_runs(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (project / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "readme_example.py").write_text(example, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path("readme_example.py", run_name="__main__")
    assert capsys.readouterr().out.splitlines() == [
        "example_30hz: 11.8 spikes expected in ROI 0",
        "noise-outside-training: noise level 9.6 is far above the highest of the model, 4",
    ]
