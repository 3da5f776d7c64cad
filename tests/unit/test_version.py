"""Every package says which version it is, in Python and on the command line."""

from __future__ import annotations

import importlib
from configparser import ConfigParser
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner

from nwb_cascade.cli import main

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("package", ["nwb_cascade", "ground_truth_nwb"])
def test_the_version_is_the_installed_one(package):
    module = importlib.import_module(package)
    assert module.__version__ == version("nwb-cascade")
    with pytest.raises(AttributeError, match="no attribute 'version'"):
        _ = module.version


def test_the_command_says_the_version_of_the_checkout():
    configuration = ConfigParser()
    configuration.read(ROOT / "setup.cfg", encoding="utf-8")
    result = CliRunner().invoke(main, ["--version"])
    assert result.output == f"nwb-cascade, version {configuration['metadata']['version']}\n"
