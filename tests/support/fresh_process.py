"""Run code in a process that no other test has changed.

hdmf caches every namespace that is loaded in the process into the files it writes, so files are the same byte for byte
only where the same extensions are loaded.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def with_the_checkout() -> dict[str, str]:
    """Return the environment of a process that finds the checkout."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}


def run_fresh(code: str) -> None:
    """Run Python code in a new process that finds the checkout."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def dead_process() -> int:
    """Return the number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid
