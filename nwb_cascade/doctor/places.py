"""Models, caches and folders: what is there, what is damaged, where can be written and how much room there is."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nwb_cascade.doctor.finding import Finding, Verdict, shown
from nwb_cascade.files.locks import lock

if TYPE_CHECKING:
    from nwb_cascade.models.library import InstalledModel

LEAST_FREE_BYTES = 2**30
MEMORY_DISKS = ("tmpfs", "ramfs")
NETWORK_DISKS = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "beegfs", "gpfs", "fuse.sshfs", "9p", "ceph")
SETTINGS = (
    "NWB_CASCADE_MODELS",
    "NWB_CASCADE_CACHE",
    "NWB_CASCADE_REGISTRY",
    "KERAS_BACKEND",
    "KERAS_HOME",
    "DANDI_INSTANCE",
    "HDF5_USE_FILE_LOCKING",
    "TMPDIR",
    "CUDA_VISIBLE_DEVICES",
    "HTTPS_PROXY",
)
SECRETS = ("_API_KEY",)


def models() -> Iterator[Finding]:
    """Every installed model, read and compared with its hashes."""
    from nwb_cascade.models.library import list_installed

    return map(_model, list_installed())


def folders() -> Iterator[Finding]:
    """The folders that are written to: room, access, locks and the kind of disk."""
    from nwb_cascade.dandi.store import default_folder
    from nwb_cascade.models.folders import user_models_folder

    scratch = Path(tempfile.gettempdir())
    yield _folder("temporary files", scratch, "problem", "set TMPDIR to a folder that can be written to")
    if (kind := disk_kind(scratch)) in MEMORY_DISKS:
        advice = "results on the way lie there: for long recordings set TMPDIR to a folder on a disk"
        yield Finding("places", "temporary files", "note", f"on {kind}, which is memory", advice)
    yield _folder("this folder", Path.cwd(), "note", "name another one for results: --output")
    yield _folder("models", user_models_folder(), "note", "set NWB_CASCADE_MODELS to a folder of yours")
    cache = default_folder()
    yield _folder("cache of DANDI", cache, "note", "set NWB_CASCADE_CACHE to a folder of yours")
    if (kind := disk_kind(cache)) in NETWORK_DISKS:
        advice = "set NWB_CASCADE_CACHE to a folder on a disk of this machine"
        yield Finding("places", "cache of DANDI", "note", f"on {kind}, a network drive: slow", advice)


def settings() -> Iterator[Finding]:
    """Variables of the environment that change what is done; keys are named and not shown."""
    for name in SETTINGS:
        if (value := os.environ.get(name)) is not None:
            yield Finding("settings", name, "ok", shown(_without_password(value)) or "(empty)")
    for name in sorted(os.environ):
        if name.endswith(SECRETS) and "DANDI" in name:
            yield Finding("settings", name, "ok", "set" if os.environ[name] else "(empty)")


def disk_kind(path: Path) -> str:
    """Return the kind of file system that a path lies on, as Linux names it; empty elsewhere."""
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    there = os.path.realpath(path)
    mounts = [(words[1], words[2]) for line in lines if len(words := line.split()) > 2]
    holding = [(len(at), kind) for at, kind in mounts if os.path.commonpath([at, there]) == at]
    return max(holding, default=(0, ""))[1]


def _model(entry: InstalledModel) -> Finding:
    from nwb_cascade.models.bundle import load_bundle

    try:
        model = load_bundle(entry.path)
    except Exception as error:  # a damaged model must not hide the others
        again = {"bundled": "install nwb-cascade anew", "user": "remove its folder, and fetch it again"}
        return Finding("models", entry.name, "problem", " ".join(str(error).split()), again[entry.origin])
    return Finding("models", entry.name, "ok", f"{entry.origin}, sha256 {model.sha256[:12]}")


def _folder(name: str, path: Path, otherwise: Verdict, advice: str) -> Finding:
    """Return the row of one folder, which is made when it is first needed; nothing stays of the trial."""
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    state = "" if there == path else ", not made yet"
    try:
        free = shutil.disk_usage(there).free
        with tempfile.TemporaryFile(dir=there) as file:
            locks = _lock_state(file.fileno())
    except OSError as error:
        return Finding("places", name, otherwise, f"{shown(path)} cannot be written to ({error.strerror})", advice)
    held = f", holds {_size(path) / 2**20:.0f} MiB" if name.startswith("cache") and there == path else ""
    words = f"{shown(path)}{state}: writable, {free / 2**30:.1f} GiB free{held}{locks}"
    if free < LEAST_FREE_BYTES:
        return Finding("places", name, "note", words, "free some space there, or name another folder")
    return Finding("places", name, "ok", words)


def _lock_state(descriptor: int) -> str:
    """Say so if files cannot be locked."""
    try:
        lock(descriptor)
    except OSError:
        return ", without locks: one program at a time"
    return ""


def _size(folder: Path) -> int:
    """Bytes of all files below a folder; what vanishes or may not be seen counts nothing."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(where, name)).st_size
    return total


def _without_password(value: str) -> str:
    """Hide what stands before the host in an address: proxies have names and passwords there."""
    scheme, mark, rest = value.partition("://")
    return f"{scheme}{mark}...@{rest.rpartition('@')[2]}" if mark and "@" in rest else value
