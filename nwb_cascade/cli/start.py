"""What commands that read recordings load first, in two thirds of the time that it takes by itself."""

from __future__ import annotations

import gc
import importlib
import sys
from importlib.util import find_spec

from nwb_cascade.files.quick_import import importing


def load_readers() -> None:
    """Import what reads and writes recordings, once in a process; nothing of it is looked through for garbage again.

    Where hdmf-zarr is not installed, the zarr that dandi brings for its checksums opens no recording, so that hdmf need
    not import it in this process, which is the command's own.
    """
    if "pynwb" in sys.modules:  # in a process of somebody else's, too, whose garbage must not be kept
        return
    with importing(without="" if find_spec("hdmf_zarr") else "zarr"):
        importlib.import_module("pynwb")
    with importing():
        for name in ("nwb_cascade.readers.registry", "nwb_cascade.writers.registry"):
            importlib.import_module(name)
    gc.freeze()
