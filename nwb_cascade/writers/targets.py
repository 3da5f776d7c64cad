"""Where results go: a copy beside the input, a named file or folder, or the input itself."""

from __future__ import annotations

import os
import re
import stat as file_modes
from pathlib import Path

from nwb_cascade.errors import InputError
from nwb_cascade.options import EITHER
from nwb_cascade.readers.stored_runs import SUFFIXES, is_result

Output = str | os.PathLike[str] | None

NWB_SUFFIXES = (".nwb.zarr", ".zarr", ".nwb", ".hdf5", ".h5")
WRITE_BITS = (
    file_modes.S_IWUSR | file_modes.S_IWGRP | file_modes.S_IWOTH
)  # for root every file is writable, yet read-only is a wish
# File names of the DANDI archive: sub-X(_ses-X)?(_entity-X)*(_modality)?, labels without underscores
DANDI_NAME = re.compile(
    r"(?P<entities>sub-[^_]+(_ses-[^_]+)?(_(tis|slice|cell|desc|probe|obj)-[^_]+)*)(?P<modality>_[a-z]+(\+[a-z]+)*)?"
)


def names_matrix(output: Output) -> bool:
    """Tell whether an output is named like a file of numpy or MATLAB."""
    return output is not None and is_result(Path(output))


def default_output(source: Path, label: str = "spikes") -> Path:
    """Return the name of the annotated copy beside a file.

    A name by the rules of DANDI gets the entity ``desc-spikes`` where those rules put it, any other name gets
    ``_spikes`` at its end (or another ``label``).

    Examples
    --------
    >>> default_output(Path("sub-1_ses-a_ophys.nwb")).name
    'sub-1_ses-a_desc-spikes_ophys.nwb'
    >>> default_output(Path("mouse 7.nwb")).name
    'mouse 7_spikes.nwb'
    """
    if not source.name:  # "."
        source = source.absolute()
    stem, suffix = split_name(source.name)
    dandi = DANDI_NAME.fullmatch(stem)
    if dandi is None or suffix not in (".nwb", ".nwb.zarr"):
        return source.with_name(f"{stem}_{label}{suffix}")
    entities, modality = dandi["entities"], dandi["modality"] or ""
    if "_desc-" in entities:
        return source.with_name(re.sub(r"(_desc-[^_]+)", rf"\1{label.capitalize()}", entities) + modality + suffix)
    return source.with_name(f"{entities}_desc-{label}{modality}{suffix}")


def split_name(name: str) -> tuple[str, str]:
    """Split a file name into stem and suffix; ``.nwb.zarr`` is one suffix."""
    for suffix in (*NWB_SUFFIXES, *SUFFIXES):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)], name[-len(suffix) :]
    return name, ""


def target_of(source: Path, output: Output, in_place: bool, *, label: str = "spikes") -> Path:
    """Return the file that a result will be written to.

    Parameters
    ----------
    source : pathlib.Path
        The recording.
    output : path, optional
        A file, or a folder: one that exists or whose name ends with a separator. By default see `default_output`.
    in_place : bool
        The recording itself; a link leads to the file that it names.
    label : str
        What `default_output` puts behind the name.

    Raises
    ------
    InputError
        If the output is the input, both or contradicting options are given, or the format would change.
    """
    if in_place:
        if output is not None:
            raise InputError(EITHER)
        return Path(os.path.realpath(source)) if source.is_symlink() else source
    target = default_output(source, label) if output is None else _named(source, output)
    if target.exists() and source.exists() and target.samefile(source):
        raise InputError(
            f"Expected an output other than the input {source}. To add to the file itself, use --in-place."
        )
    suffix = split_name(target.name)[1].lower()
    if suffix != split_name(source.name)[1].lower() and _format(target) != _format(source):
        raise InputError(
            f"Expected an output of the same kind as {source.name}, received {target.name}: "
            "NWB stays NWB, HDF5 stays HDF5, Zarr stays Zarr, and .npy and .mat give .npy, .npz or .mat."
        )
    return target


def require_writable(target: Path) -> None:
    """Raise PermissionError if a target that exists is read-only, be it for root as well."""
    if target.exists() and not (target.stat().st_mode & WRITE_BITS and os.access(target, os.W_OK)):
        raise PermissionError(f"{target} is read-only and was left as it is. Write a copy instead (-o).")


def shared_folder(output: Output, n_sources: int) -> Output:
    """Return the output of several recordings as a folder, with a separator at its end; that of one as it is.

    Raises
    ------
    InputError
        If the output of several is a file, or named like one.
    """
    if n_sources < 2 or output is None or is_folder(output):
        return output
    if Path(output).is_file() or split_name(Path(output).name)[1]:
        raise InputError(f"Expected a folder as output of {n_sources} files, received {Path(output)}.")
    return f"{output}{os.sep}"


def _format(path: Path) -> str:
    """Storage format of NWB that a file or a name stands for."""
    return "zarr" if path.is_dir() or path.name.lower().endswith(".zarr") else "hdf5"


def _named(source: Path, output: str | os.PathLike[str]) -> Path:
    return Path(output) / source.name if is_folder(output) else Path(output)


def is_folder(output: str | os.PathLike[str]) -> bool:
    """Tell whether an output is meant as a folder for files; a Zarr store is a file in this sense."""
    text = os.fspath(output)
    path = Path(text)
    is_store = path.name.endswith(".zarr") or (path / ".zgroup").exists()
    separators = (os.sep, os.altsep or os.sep)
    return not is_store and (path.is_dir() or text.endswith(separators))
