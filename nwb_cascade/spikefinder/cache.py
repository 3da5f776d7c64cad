"""Windows on disk: drawn once, then memory-mapped; a folder's name is the hash of all that decides its content."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nwb_cascade.spikefinder.windows import Windows

PARTS = ("values", "labels", "neurons", "segments", "starts")
FORMAT = 1


def cached_windows(folder: Path, facts: Mapping[str, Any], draw: Callable[[], Windows]) -> Windows:
    """Return windows that were drawn before from the same content, memory-mapped, or draw and keep them.

    Parameters
    ----------
    folder : pathlib.Path
        Of the cache, created if missing; may be shared by runs and by processes.
    facts : mapping
        All that decides the draw, JSON-able: the hash of the ground truth, size, number, seed and so on.
    draw : callable
        Draws them.
    """
    text = json.dumps({"format": FORMAT, **facts}, sort_keys=True)
    place = folder / hashlib.sha256(text.encode()).hexdigest()[:24]
    if not place.is_dir():
        _keep(place, text, draw())
    return Windows(*(np.load(place / f"{part}.npy", mmap_mode="r") for part in PARTS))


def _keep(place: Path, text: str, windows: Windows) -> None:
    """Write a folder beside its place, then move it; if another process was first, its folder stays."""
    beside = place.with_name(f".{place.name}.{os.getpid()}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        for part in PARTS:
            np.save(beside / f"{part}.npy", getattr(windows, part))
        (beside / "facts.json").write_text(text, encoding="utf-8")
        try:
            os.rename(beside, place)
        except OSError:
            if not place.is_dir():
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
