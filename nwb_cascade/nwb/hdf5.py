"""HDF5 files as pynwb reads them: an index of references, and what is wrong with links and sizes."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import h5py
from pynwb import NWBHDF5IO

from ground_truth_nwb.hdf5_files import ForeignFileError, contents_of, require_own, sources_of
from nwb_cascade.errors import InputError

LEAST_DECLARED = 2**28  # bytes; a smaller array is read sooner than judged
MOST_COMPRESSION = 10_000  # times; real traces are compressed to a fifth at best, arrays of one value by gzip to 1/1000


def require_readable(dataset: Any) -> None:
    """Raise an error if an HDF5 dataset declares far more values than its file can hold, or none can unpack them.

    Reading would fill the memory or the disk with values that nobody wrote. Only the header is looked at; of a file
    on disk also how much is stored, which would cost many requests on a remote one.
    """
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual:
        return
    _require_filters(dataset)
    declared = dataset.size * dataset.dtype.itemsize
    if declared < LEAST_DECLARED:
        return
    is_local = dataset.file.driver != "fileobj"
    stored = dataset.id.get_storage_size() if is_local else dataset.file.id.get_filesize()
    if declared > MOST_COMPRESSION * stored:
        raise ValueError(
            f"{dataset.name} declares shape {dataset.shape}, {declared / 2**30:.3g} GiB, of which {stored} bytes are "
            "stored"
        )


def _require_filters(dataset: h5py.Dataset) -> None:
    """Raise InputError if values were compressed by what HDF5 lacks here; hdf5plugin brings the usual ones."""
    stored = dataset.id.get_create_plist()
    for number, _, _, name in (stored.get_filter(index) for index in range(stored.get_nfilters())):
        if not h5py.h5z.filter_avail(number):
            with suppress(ImportError):
                importlib.import_module("hdf5plugin")  # its import is all that it needs
        if not h5py.h5z.filter_avail(number):
            raise InputError(
                f"{dataset.name} is compressed by {name.decode(errors='replace') or 'a filter without a name'} (HDF5 "
                f"filter {number}), which is not installed: pip install hdf5plugin."
            )


def judged(file: h5py.File, source: Any) -> tuple[dict[int, bytes], frozenset[str]]:
    """Return the paths of an open file's objects by address, and the names of other files that parts of it lie in.

    Raises
    ------
    InputError
        If these may not be read: of a path they may if they lie below its own folder.
    """
    contents = contents_of(file)
    try:
        return contents.paths, require_own(contents, source, below_folder=True)
    except ForeignFileError as error:
        raise InputError(str(error)) from error


class IndexedHDF5IO(NWBHDF5IO):  # type: ignore[misc]  # pynwb has no type hints
    """NWBHDF5IO that finds the names of referenced objects in an index.

    HDF5 does not know the path of an object that was opened by reference; asking for its name searches the whole
    file. hdmf asks several times per reference, so that opening takes time with the square of the number of objects
    (https://github.com/NeurodataWithoutBorders/pynwb/issues/1889). One visit of all objects answers all questions.
    ``paths`` and ``elsewhere`` are what `judged` says of the file.
    """

    def __init__(self, file: h5py.File, paths: dict[int, bytes], elsewhere: frozenset[str], **options: Any) -> None:
        super().__init__(file=file, **options)
        self._own_file, self._paths, self.elsewhere = file, paths, elsewhere
        self._entered: set[tuple[int, int]] = set()  # groups that are being read: file number and address

    def _HDF5IO__read_ref(self, h5obj: Any) -> Any:  # noqa: N802  # the name that hdmf's private method has
        return super()._HDF5IO__read_ref(self.by_path(h5obj))

    def _HDF5IO__read_group(self, h5obj: Any, *args: Any, **options: Any) -> Any:  # noqa: N802
        """Read a group, but not from within itself: hdmf follows links in circles until the stack is full."""
        key = _address(h5obj)
        if key in self._entered:
            raise ValueError(f"{h5obj.name} lies within itself, links form a circle")
        self._entered.add(key)
        try:
            return super()._HDF5IO__read_group(_Members(h5obj.id), *args, **options)
        finally:
            self._entered.discard(key)

    def _HDF5IO__read_dataset(self, h5obj: Any, *args: Any, **options: Any) -> Any:  # noqa: N802
        """Read a dataset; hdmf reads all values of texts and of some with one dimension (tables, ROI regions)."""
        if not self.elsewhere.issuperset(name for _, name in sources_of(h5obj.id)):
            raise ValueError(f"{h5obj.name or 'an object in no group'} lies in another file")
        if h5obj.ndim <= 1:
            require_readable(h5obj)
        return super()._HDF5IO__read_dataset(h5obj, *args, **options)

    def by_path(self, h5obj: Any) -> Any:
        """Return an object that was opened by reference as opened by path; one that no path leads to was not judged."""
        if h5obj.file.filename != self._own_file.filename:
            return h5obj
        path = self._paths.get(h5py.h5o.get_info(h5obj.id).addr)
        if path is None:
            raise ValueError("a reference leads to an object that is in no group")
        return h5obj.file[path]


def _address(h5obj: Any) -> tuple[int, int]:
    """File number and address of an object, whatever names lead to it."""
    info = h5py.h5o.get_info(h5obj.id)
    return info.fileno, info.addr


class _Members(h5py.Group):  # type: ignore[misc]  # h5py has no type hints
    """A group as hdmf understands it: each member under one name, and links that start at the root.

    hdmf refuses an object that its container holds under two names, and takes relative links for absolute ones.
    """

    def __iter__(self) -> Iterator[Any]:
        names = list(super().__iter__())
        links = {name: h5py.Group.get(self, name, getlink=True) for name in names}
        soft = {name for name, link in links.items() if isinstance(link, h5py.SoftLink)}
        own = {_address(self[name]) for name in names if name not in soft} if soft else set()
        for name in names:
            target = self.get(name) if name in soft else None
            if target is None or _address(target) not in own:
                yield name

    def get(self, name: Any, *args: Any, **options: Any) -> Any:
        found = super().get(name, *args, **options)
        if isinstance(found, h5py.SoftLink) and not found.path.startswith("/"):
            return h5py.SoftLink(f"{self.name}/{found.path}")
        return found


def broken_links(io: Any) -> dict[str, str]:
    """Return where the links of an open HDF5 file lead to nothing: path of the link, and what it names, in words."""
    file = getattr(io, "_own_file", None)
    found: dict[str, str] = {}
    if not isinstance(file, h5py.File):
        return found

    def look_at(path: bytes, info: Any) -> None:
        if info.type not in (h5py.h5l.TYPE_SOFT, h5py.h5l.TYPE_EXTERNAL) or file.get(path) is not None:
            return
        link = file.get(path, getlink=True)
        place = f" in {link.filename}" if isinstance(link, h5py.ExternalLink) else ""
        found[f"/{path.decode(errors='replace')}"] = f"{link.path}{place}"

    file.id.links.visit(look_at, info=True)
    return found
