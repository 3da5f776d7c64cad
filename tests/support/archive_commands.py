"""``nwb-cascade archive`` as tests run it: what it and its workers are told, and stand-ins for commands of a site."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nwb_cascade.cli import main

ROOT = Path(__file__).parents[2]


def set_environment(monkeypatch: pytest.MonkeyPatch, cache: Path, **more: Path) -> None:
    """Tell command and workers what they need, and nothing of whoever runs the tests: no key, no instance."""
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("DANDI_INSTANCE", raising=False)
    values: dict[str, object] = {
        "DANDI_NO_ET": "1",
        "NWB_CASCADE_CACHE": cache,
        "PYTHONPATH": ROOT,
        "DASK_DISTRIBUTED__WORKER__PRELOAD": "tests.support.archive_preload",
        **more,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))


def archive_command(*arguments: object) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, ["archive", *map(str, arguments)])


def put_on_path(monkeypatch: pytest.MonkeyPatch, folder: Path, programs: Mapping[str, str]) -> None:
    """Write scripts into a new folder in which the shell looks first."""
    folder.mkdir()
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
