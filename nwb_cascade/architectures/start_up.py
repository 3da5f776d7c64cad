"""What TensorFlow writes to standard error while it starts, less its notes on the machine.

TensorFlow writes them from C++ before its own settings are read (``TF_CPP_MIN_LOG_LEVEL`` does nothing there), so they
are kept back at the file descriptor, only while it is imported and meets its device for the first time. Whatever else
is written in that time comes out at its end, and all of it where that fails.
"""

from __future__ import annotations

import faulthandler
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

WANTED = {"TF_CPP_MIN_LOG_LEVEL": "0"}  # the environment of who wants to read the notes
# Infos, as absl and as TensorFlow before 2.19 write them; two lines that belong to infos; and, as errors and warnings,
# that there is no GPU or driver (CUDA's 303 and 100) and that two parts of TensorFlow bring the same plugin.
NOTES = re.compile(
    rb"I\d{4} .*|\d{4}-\d\d-\d\d .*: I .*"
    rb"|WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR"
    rb"|To enable the following instructions: .*"
    rb"|.*failed call to cuInit: .*(\(303\)|no CUDA-capable device is detected).*"
    rb"|.*(Unable to register cu\w+ factory|computation placer already registered).*"
)


@contextmanager
def without_notes() -> Iterator[None]:
    """Keep TensorFlow's notes off standard error; every other line is written there when the context ends.

    A crash of the process inside the context shows where it was, by ``faulthandler``.
    """
    try:
        stderr = os.dup(2)
    except OSError:  # a process without standard error
        yield
        return
    if any(os.environ.get(name) == value for name, value in WANTED.items()):
        os.close(stderr)
        yield
        return
    watched = not faulthandler.is_enabled()
    with open(stderr, "wb") as shown, tempfile.TemporaryFile() as caught:
        if watched:
            faulthandler.enable(shown)
        os.dup2(caught.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(shown.fileno(), 2)
            if watched:
                faulthandler.disable()
            _replay(caught, shown, everything=failed)


def _replay(caught: IO[bytes], shown: IO[bytes], *, everything: bool) -> None:
    """Write what was caught where it was meant for."""
    caught.seek(0)
    for line in caught:
        if everything or not NOTES.fullmatch(line.rstrip()):
            shown.write(line)
