"""Files as the first writers of NWB 2 wrote them; made from ones of today, compared with ones of pynwb 1.0.3, 1.3.0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

MASKS = "pixel_mask"


def as_pynwb_1_0(path: Path) -> Path:
    """NWB 2.0: no object ids, all types in one namespace, a help text with each, names of columns as bytes."""

    def make_early(_: str, item: Any) -> None:
        if item.attrs.pop("object_id", None) is not None:
            item.attrs.update({"namespace": "core", "help": "What it is."})
        if "colnames" in item.attrs:
            item.attrs["colnames"] = np.array([name.encode() for name in item.attrs["colnames"]])

    with h5py.File(path, "r+") as file:
        del file["specifications"], file.attrs[".specloc"]
        make_early("", file)
        file.visititems(make_early)
        file.attrs["nwb_version"] = "2.0.2"
    return path


def as_pynwb_1_3(path: Path) -> Path:
    """NWB 2.2: pixel masks as a matrix of whole numbers, of three columns without names."""
    with h5py.File(path, "r+") as file:
        tables: list[Any] = []
        file.visititems(lambda _, item: tables.append(item) if MASKS in getattr(item, "keys", tuple)() else None)
        for table in tables:
            masks = table.pop(MASKS)
            rows = np.array([list(row) for row in masks[()].tolist()], np.int64)
            plain = table.create_dataset(MASKS, data=rows)
            plain.attrs.update(dict(masks.attrs))
            table[f"{MASKS}_index"].attrs["target"] = plain.ref
    return path
