"""Ways in which HDF5 files get damaged: each function changes a file in place, by the chances of a generator."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

SERIES = "/processing/ophys/DfOverF/RoiResponseSeries"
HEAP, LARGE_HEAP = b"GCOL", 16_384  # HDF5's heaps of strings; the large ones hold the cached specifications
OTHER_VALUES: tuple[Any, ...] = (
    -1,
    np.nan,
    1e300,
    2**63 - 1,
    "text",
    b"\xff\xfe",
    "",
    [1, 2, 3],
    ["a", "b"],
    [[1.5], [2.5]],
    True,
    np.zeros(0),
    h5py.Empty("f"),
    np.void(b"\x00\x01"),
)


def flip_bytes(path: Path, rng: np.random.Generator) -> None:
    """Change one to twenty bytes anywhere."""
    content = bytearray(path.read_bytes())
    for place in rng.integers(0, len(content), rng.integers(1, 20)):
        content[place] ^= int(rng.integers(1, 256))
    path.write_bytes(content)


def flip_header_bytes(path: Path, rng: np.random.Generator) -> None:
    """Change one to four bytes of what describes the file, outside of data and cached specifications."""
    content = bytearray(path.read_bytes())
    is_header = np.ones(len(content), bool)
    for start, size in _data_bytes(path, bytes(content)):
        is_header[start : start + size] = False
    for place in rng.choice(np.flatnonzero(is_header), rng.integers(1, 5)):
        content[place] ^= 1 << int(rng.integers(0, 8))
    path.write_bytes(content)


def cut_short(path: Path, rng: np.random.Generator) -> None:
    """Keep the beginning only, as an interrupted copy does; or fill the rest with zeros, as a download may."""
    content = path.read_bytes()
    kept = int(rng.integers(1, len(content)))
    path.write_bytes(content[:kept] + bytes(len(content) - kept if rng.random() < 0.5 else 0))


def replace_attribute(path: Path, rng: np.random.Generator) -> None:
    """Give an attribute a value of another type, or delete it."""
    with h5py.File(path, "r+") as file:
        objects = [place for place in ("/", *_objects(file)) if len(file[place].attrs)]
        attributes = file[_one(objects, rng)].attrs
        name = _one(sorted(attributes), rng)
        del attributes[name]
        if rng.random() < 0.8:
            attributes[name] = _one(OTHER_VALUES, rng)


def replace_dataset(path: Path, rng: np.random.Generator) -> None:
    """Put a value of another type or shape in the place of a dataset, with its attributes."""
    with h5py.File(path, "r+") as file:
        place = _one([one for one in _objects(file) if isinstance(file[one], h5py.Dataset)], rng)
        kept = dict(file[place].attrs)
        del file[place]
        file[place] = _one(OTHER_VALUES, rng)
        for name, value in kept.items():
            file[place].attrs[name] = value


def delete_object(path: Path, rng: np.random.Generator) -> None:
    """Delete a group or dataset."""
    with h5py.File(path, "r+") as file:
        del file[_one(list(_objects(file)), rng)]


def link_in_a_circle(path: Path, rng: np.random.Generator) -> None:
    """Add a link to a group above, hard or soft, to itself, or to the file itself as if it were another."""
    with h5py.File(path, "r+") as file:
        groups = [place for place in _objects(file) if isinstance(file[place], h5py.Group)]
        place = _one(groups, rng)
        above = _one([place.rpartition("/")[0] or "/", "/", place], rng)
        links: tuple[Any, ...] = (
            file[above],
            h5py.SoftLink(above),
            h5py.SoftLink(f"{place}/again"),
            h5py.ExternalLink(path.name, above),
            h5py.ExternalLink(path.name, f"{place}/again"),
        )
        file[f"{place}/again"] = _one(links, rng)


def swap_link(path: Path, rng: np.random.Generator) -> None:
    """Replace an object by a link to another one, or to nothing."""
    with h5py.File(path, "r+") as file:
        objects = list(_objects(file))
        place, other = _one(objects, rng), _one(objects, rng)
        targets: tuple[Any, ...] = (
            h5py.SoftLink(other),
            h5py.SoftLink("/nowhere"),
            h5py.ExternalLink("not_there.nwb", other),
            h5py.ExternalLink("/dev/null", other),
        )
        del file[place]
        file[place] = _one(targets, rng)


def rename_to_no_text(path: Path, rng: np.random.Generator) -> None:
    """Give an object a name that is no UTF-8, as one flipped byte does."""
    with h5py.File(path, "r+") as file:
        place = _one(list(_objects(file)), rng).encode()
        broken = bytearray(place)
        broken[int(rng.integers(place.rindex(b"/") + 1, len(place)))] = 0xFF
        file.move(place, bytes(broken))


def declare_terabytes(path: Path, rng: np.random.Generator) -> None:
    """Let a dataset claim many more rows than are stored."""
    with h5py.File(path, "r+") as file:
        arrays = [one for one in _objects(file) if isinstance(file[one], h5py.Dataset) and file[one].ndim]
        place = _one([f"{SERIES}/data"] * 2 + arrays, rng)
        old = file[place]
        kept, rows = dict(old.attrs), int(10 ** rng.uniform(8, 13))
        shape, dtype = (rows, *old.shape[1:]), old.dtype
        del file[place]
        # Chunks of few rows make an index that no machine holds; HDF5 allocates it when the first is written.
        chunks = (min(rows, 2**20), *(max(1, min(n, 4)) for n in shape[1:]))
        new = file.create_dataset(place, shape=shape, maxshape=(None, *shape[1:]), dtype=dtype, chunks=chunks)
        for name, value in kept.items():
            new.attrs[name] = value


def declare_a_large_block(path: Path, rng: np.random.Generator) -> None:
    """Change the numbers of 8 bytes in the header that say how long the data are to large ones."""
    with h5py.File(path, "r") as file:
        lengths = {n for place in _objects(file) for n in getattr(file[place], "shape", None) or ()}
    content = bytearray(path.read_bytes())
    places = [at for n in lengths if n > 1 for at in _occurrences(bytes(content), struct.pack("<Q", n))]
    at = _one(places, rng)
    content[at : at + 8] = struct.pack("<Q", int(2 ** rng.uniform(30, 62)))
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path, np.random.Generator], None]] = {
    one.__name__: one
    for one in (
        flip_bytes,
        flip_header_bytes,
        cut_short,
        replace_attribute,
        replace_dataset,
        delete_object,
        link_in_a_circle,
        swap_link,
        rename_to_no_text,
        declare_terabytes,
        declare_a_large_block,
    )
}


def _objects(file: h5py.File) -> Iterator[str]:
    """Paths of all objects but the root and the cached specifications."""
    found: list[str] = []
    file.visit(lambda name: found.append(f"/{name}"))
    return (name for name in found if not name.startswith("/specifications"))


def _data_bytes(path: Path, content: bytes) -> Iterator[tuple[int, int]]:
    """Where values and long strings lie: (start, size)."""
    with h5py.File(path, "r") as file:
        for place in _objects(file):
            if not isinstance(file[place], h5py.Dataset):
                continue
            stored = file[place].id
            if (start := stored.get_offset()) is not None:
                yield start, stored.get_storage_size()
            elif file[place].chunks:
                chunks = (stored.get_chunk_info(n) for n in range(stored.get_num_chunks()))
                yield from ((chunk.byte_offset, chunk.size) for chunk in chunks)
    for at in _occurrences(content, HEAP):
        size = int.from_bytes(content[at + 8 : at + 16], "little")
        if size > LARGE_HEAP:
            yield at, size


def _occurrences(content: bytes, wanted: bytes) -> Iterator[int]:
    at = content.find(wanted)
    while at >= 0:
        yield at
        at = content.find(wanted, at + 1)


def _one(choices: Any, rng: np.random.Generator) -> Any:
    """One of some choices, kept as it is."""
    return choices[int(rng.integers(len(choices)))]
