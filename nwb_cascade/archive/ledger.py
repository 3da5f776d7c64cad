"""The ledger: who works on which job and how it ended, as files that are created once and never changed.

::

    OUT/archive.json                 marks the folder
    OUT/api-calls/                   locks by which jobs take turns, see nwb_cascade.dandi.turns
    OUT/jobs/JOB/claim-0001          the first attempt: who; its time stamp is renewed while the work goes on
    OUT/jobs/JOB/attempt-0001/       what it writes
    OUT/jobs/JOB/failed-0001.json    how it ended
    OUT/jobs/JOB/claim-0002          the second attempt
    OUT/jobs/JOB/done-0002.json      how that ended, with the path and hash of its output

A claim can be made by one process only, and only the next one after a claim that ended or whose process is gone.
So no lock has to be broken and nothing is overwritten: a process that was believed dead and wakes up finds a younger
claim, and has a folder of its own.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from nwb_cascade.archive.owner import is_alive, this_process
from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import flush_folder
from nwb_cascade.files.private import make_private

MARK = "archive.json"
MARKED = {"format": "nwb-cascade-archive", "format_version": 1}
API_FOLDER = "api-calls"
LOGS_FOLDER = "logs"
OWN_NAMES = (MARK, API_FOLDER, "jobs", LOGS_FOLDER)
LEASE_S = 120.0
NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK}
_NAME = re.compile(r"(claim|done|failed)-(\d+)(\.json)?")

State = Literal["pending", "running", "interrupted", "failed", "done"]


@dataclass(frozen=True)
class Entry:
    """What the files say of one job.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the job; need not exist.
    state : str
        ``interrupted``: its process is gone and left no word.
    attempt : int
        Number of the youngest claim, 0 without any.
    record : mapping
        What was noted of how it ended; empty unless done or failed.
    interruptions : int
        Attempts in a row, up to now, whose process left no word.
    """

    folder: Path
    state: State
    attempt: int
    record: Mapping[str, Any]
    interruptions: int

    @property
    def output(self) -> Path:
        """The result of a job that is done."""
        return self.folder / str(self.record["output"])


class Ledger:
    """The jobs of an output folder.

    Parameters
    ----------
    folder : path
        The output folder.
    lease_s : float
        How long a claim of a process on another machine holds after its last sign of life, s.
    """

    def __init__(self, folder: str | os.PathLike[str], *, lease_s: float = LEASE_S) -> None:
        self.folder = Path(folder)
        self.lease_s = lease_s

    def prepare(self) -> None:
        """Make the output folder, if need be.

        Raises
        ------
        FileExistsError
            If the folder holds other things.
        OSError
            If it cannot be written.
        """
        mark = self.folder / MARK
        foreign = sorted(p.name for p in self.folder.iterdir()) if self.folder.is_dir() else []
        if not mark.exists() and [name for name in foreign if name not in OWN_NAMES and not name.startswith(".")]:
            raise FileExistsError(
                f"Expected an empty folder or one of an earlier run as output, received {self.folder}, which holds "
                f"{', '.join(foreign[:3])}: name another folder."
            )
        make_private(self.folder / "jobs")
        if not mark.exists():
            create_once(mark, json.dumps(MARKED))

    def require(self) -> None:
        """Raise unless the folder is the output of a run."""
        if not (self.folder / MARK).exists():
            raise InputError(f"Expected the output folder of 'nwb-cascade archive run', received {self.folder}.")

    def entry(self, job_id: str) -> Entry:
        """Say how a job stands."""
        folder = self.folder / "jobs" / job_id
        numbers = _numbers(folder)
        claims, failed = numbers["claim"], numbers["failed"]
        for attempt in sorted(numbers["done"], reverse=True):
            if _is_intact(folder, record := _read(folder / _name("done", attempt))):
                return Entry(folder, "done", attempt, record, 0)
        last = max(claims, default=0)
        if last in failed:
            return Entry(folder, "failed", last, _read(folder / _name("failed", last)), 0)
        if last and last not in numbers["done"] and self._is_held(folder / _name("claim", last)):
            return Entry(folder, "running", last, {}, 0)
        ended = max((number for number in failed | numbers["done"] if number < last), default=0)
        return Entry(
            folder, "interrupted" if last else "pending", last, {}, sum(1 for number in claims if number > ended)
        )

    def claim(self, job_id: str, *, retry_failed: bool = False) -> Claim | None:
        """Take a job, if it is to be done and nobody else has it.

        Parameters
        ----------
        job_id : str
            Name of the job.
        retry_failed : bool
            Take it even if it failed.

        Returns
        -------
        Claim or None
            To be used as a context; None if the job is done, failed, or held by somebody.
        """
        entry = self.entry(job_id)
        if entry.state in ("done", "running") or (entry.state == "failed" and not retry_failed):
            return None
        entry.folder.mkdir(parents=True, exist_ok=True)
        path = entry.folder / _name("claim", entry.attempt + 1)
        if not create_once(path, json.dumps(this_process()), durable=False):
            return None
        claim = Claim(path, entry.attempt + 1, interruptions=entry.interruptions, lease_s=self.lease_s)
        if self.entry(job_id).state == "done":  # by a process that was taken for dead
            claim.release()
            return None
        return claim

    def _is_held(self, claim: Path) -> bool:
        """Whether the process of a claim lives, as far as can be known."""
        alive = is_alive(_read(claim))
        if alive is False:
            return False
        try:
            return _now(claim.parent) - claim.stat().st_mtime < self.lease_s
        except FileNotFoundError:
            return False


class Claim:
    """The right to do one job, kept alive while its context is open.

    A context that ends without `finish` or `fail` gives the job back.

    Attributes
    ----------
    folder : pathlib.Path
        Where this attempt may write; on the disk of the output folder.
    interruptions : int
        Attempts in a row before this one whose process left no word.
    """

    def __init__(self, path: Path, attempt: int, *, interruptions: int, lease_s: float) -> None:
        self.attempt = attempt
        self.interruptions = interruptions
        self.folder = path.parent / f"attempt-{attempt:04d}"
        self._path = path
        self._lease_s = lease_s
        self._ended = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Claim:
        self._thread.start()
        self.folder.mkdir(exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if not self._ended:
            self.release()

    @property
    def is_lost(self) -> bool:
        """Whether somebody took this process for dead and the job over."""
        return max(_numbers(self._path.parent)["claim"], default=0) != self.attempt

    def earlier_outputs(self) -> list[Path]:
        """Complete files that interrupted attempts left behind, the newest first."""
        folders = sorted((p for p in self._attempts() if p.name < self.folder.name), reverse=True)
        return [path for folder in folders for path in sorted(folder.iterdir()) if not path.name.startswith(".")]

    def finish(self, output: Path, record: Mapping[str, Any]) -> None:
        """Note that the job is done; its output lies in `folder`. What earlier attempts left is removed."""
        values = {**record, "output": f"{self.folder.name}/{output.name}", "attempt": self.attempt}
        self._end("done", values)
        for folder in self._attempts():
            if folder.name < self.folder.name:
                shutil.rmtree(folder, ignore_errors=True)

    def fail(self, record: Mapping[str, Any]) -> None:
        """Note that the job failed, and remove what it wrote."""
        self._end("failed", {**record, "attempt": self.attempt})
        shutil.rmtree(self.folder, ignore_errors=True)

    def release(self) -> None:
        """Give the job back as if it had not been begun."""
        self._ended = True
        with contextlib.suppress(OSError):
            shutil.rmtree(self.folder, ignore_errors=True)
            self._path.unlink()

    def _end(self, kind: str, record: Mapping[str, Any]) -> None:
        path = self._path.parent / _name(kind, self.attempt)
        create_once(path, json.dumps({**record, "time": time.time(), "process": this_process()}, indent=1))
        self._ended = True

    def _attempts(self) -> Iterable[Path]:
        return self._path.parent.glob("attempt-*")

    def _beat(self) -> None:
        """Renew the time stamp of the claim; a failing disk shows itself to the work, too."""
        while not self._stop.wait(self._lease_s / 4):
            with contextlib.suppress(OSError):
                os.utime(self._path)


def _name(kind: str, attempt: int) -> str:
    return f"{kind}-{attempt:04d}" + ("" if kind == "claim" else ".json")


def _numbers(folder: Path) -> dict[str, set[int]]:
    """Numbers of the attempts by what files there are of them."""
    numbers: dict[str, set[int]] = {"claim": set(), "done": set(), "failed": set()}
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as files:
        for file in files:
            if match := _NAME.fullmatch(file.name):
                numbers[match[1]].add(int(match[2]))
    return numbers


def _is_intact(folder: Path, record: Mapping[str, Any]) -> bool:
    """Whether the output of a finished job is still there."""
    try:
        return bool((folder / record["output"]).stat().st_size == record["size"])
    except (OSError, KeyError, TypeError):
        return False


def _read(path: Path) -> dict[str, Any]:
    """Values of a JSON file; none if it is gone or was not written by us."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def create_once(path: Path, text: str, *, durable: bool = True) -> bool:
    """Create a file with its content in one step; False if it is there already.

    One that is not durable may be gone or empty after a loss of power, which costs time on a slow disk to prevent.
    """
    draft = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        with open(draft, "x", encoding="utf-8") as file:
            file.write(text)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return draft.stat().st_nlink == 2  # a network drive may have done it and repeated the request
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            return _create_without_links(path, text)
        if durable:
            flush_folder(path.parent)
        return True
    finally:
        draft.unlink(missing_ok=True)


def _create_without_links(path: Path, text: str) -> bool:
    """The same where the file system has no hard links: a crash may leave an empty file, which holds for a lease."""
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True


def _now(folder: Path) -> float:
    """The time by the clock that stamps the files of a folder, which may be that of another machine."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return time.time()
