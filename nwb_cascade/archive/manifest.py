"""The manifest: one header line, then a line per job or per file that is left out; JSON Lines, never changed by a run.

Every line carries a check sum of itself, and a job is named by what it computes, so that a line edited by hand is
noticed before anything is done with it. Lines may be removed: the rest stays valid.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ground_truth_nwb.appearing import ANYBODY, appearing
from nwb_cascade.core.bounds import shown
from nwb_cascade.core.wording import counted
from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import flush_folder
from nwb_cascade.files.private import mode_like
from nwb_cascade.provenance import OUTPUT_VERSION, canonical_json, software_version

FORMAT = "nwb-cascade-manifest"
FORMAT_VERSION = 1
ID_DIGITS = 16
CHECK_DIGITS = 12
PLAN_AGAIN = "Plan again with 'nwb-cascade archive plan'"


@dataclass(frozen=True)
class Header:
    """What a manifest was planned from.

    Parameters
    ----------
    sources : tuple of str
        The addresses, folders and globs that were given.
    model : str
        The model that was asked for.
    models : mapping of str to str
        Models that the jobs use, with the SHA-256 of their weights.
    parameters : mapping
        What else was asked for.
    created : str
        When, ISO 8601.
    nwb_cascade : str
        Version of the software.
    output_version : int
        Raised when the same inputs give other numbers.
    format, format_version : str, int
        Of the manifest.
    """

    sources: tuple[str, ...]
    model: str
    models: Mapping[str, str]
    parameters: Mapping[str, Any]
    created: str
    nwb_cascade: str = field(default_factory=software_version)
    output_version: int = OUTPUT_VERSION
    format: str = FORMAT
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", tuple(self.sources))


@dataclass(frozen=True)
class Job:
    """One file, one model, one set of parameters; small and picklable.

    Parameters
    ----------
    id : str
        `job_id` of the content, the weights and the parameters.
    address : str
        Where a person finds the file.
    content_id : str
        Changes with the content of the file.
    source : mapping
        What a worker needs to open it, see `nwb_cascade.archive.listing`.
    model, model_sha256 : str
        Name or folder of the model, hash of its weights.
    parameters : mapping
        What else was asked for, see `nwb_cascade.options.InferenceOptions.to_dict`.
    recordings : sequence of mapping
        What the header of the file says of each series that is inferred: its path, ROIs, frames, rate, indicator.
    """

    id: str
    address: str
    content_id: str
    source: Mapping[str, Any]
    model: str
    model_sha256: str
    parameters: Mapping[str, Any]
    recordings: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "recordings", tuple(self.recordings))

    @property
    def is_private(self) -> bool:
        """Whether it is about an asset that not everybody may read."""
        return bool(self.source.get("asset", {}).get("is_private"))


@dataclass(frozen=True)
class Skipped:
    """A file without a job, why, and whether it is an asset that not everybody may read."""

    address: str
    reason: str
    is_private: bool = False


Record = Header | Job | Skipped
KINDS: dict[str, type[Header] | type[Job] | type[Skipped]] = {"header": Header, "job": Job, "skipped": Skipped}
_Record = TypeVar("_Record", bound=Record)


def job_id(content_id: str, model_sha256: str, parameters: Mapping[str, Any]) -> str:
    """Return the name of a job: equal for equal content, weights and parameters, whatever the file is called.

    Examples
    --------
    >>> job_id("blob", "ab" * 32, {"threshold": "raw"}) == job_id("blob", "ab" * 32, {"threshold": "raw"})
    True
    """
    inputs = {
        "output_version": OUTPUT_VERSION,
        "content_id": content_id,
        "model_sha256": model_sha256,
        "parameters": dict(parameters),
    }
    return hashlib.sha256(canonical_json(inputs).encode()).hexdigest()[:ID_DIGITS]


def write_manifest(path: Path, header: Header, records: Iterable[Job | Skipped]) -> Path:
    """Write a manifest; the file is there in full or not at all, for nobody who may not read all of its recordings."""
    path.parent.mkdir(parents=True, exist_ok=True)
    records = tuple(records)
    with appearing(path, mode=mode_of(records)) as partial, open(partial, "w", encoding="utf-8") as file:
        for record in (header, *records):
            file.write(_as_line(record) + "\n")
        file.flush()
        os.fsync(file.fileno())
    flush_folder(path.parent)
    return path


class Manifest:
    """A manifest on disk, read line by line whenever it is asked.

    Parameters
    ----------
    path : path
        The file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    InputError
        If it is no manifest or of another version; reading jobs raises it for a line that was edited.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"Expected a manifest at {self.path}, there is none: 'nwb-cascade archive plan'.")
        with open(self.path, encoding="utf-8", errors="replace") as file:
            self.header = _read_header(file.readline(), self.path)

    def __iter__(self) -> Iterator[Job | Skipped]:
        """Yield the records after the header in the order of their lines."""
        with open(self.path, encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if number == 1 or not line.strip():
                    continue
                record = _read_line(line, number, self.path)
                if isinstance(record, Header):
                    raise InputError(f"{self.path}, line {number}: a second header. {PLAN_AGAIN}.")
                yield record

    def jobs(self) -> Iterator[Job]:
        """Yield the jobs."""
        return (record for record in self if isinstance(record, Job))

    def skipped(self) -> Iterator[Skipped]:
        """Yield the files without a job."""
        return (record for record in self if isinstance(record, Skipped))

    def count(self) -> int:
        """Count the jobs; every line is checked on the way."""
        return sum(1 for _ in self.jobs())

    def slice(self, index: int, count: int = 1) -> list[Job]:
        """Return some jobs by position, the first is 0.

        Raises
        ------
        InputError
            If there is no job at that position.
        """
        total, chosen = 0, []
        for total, job in enumerate(self.jobs(), 1):
            if index <= total - 1 < index + count:
                chosen.append(job)
        if not chosen:
            raise InputError(
                f"Expected an index from 0 to {total - 1}, received {index}: {self.path} has {counted(total, 'job')}."
            )
        return chosen

    def find(self, identifier: str) -> Job:
        """Return the job of that name.

        Raises
        ------
        InputError
            If there is none.
        """
        for job in self.jobs():
            if job.id == identifier:
                return job
        raise InputError(f"Expected a job of {self.path}, received {identifier!r}, which is not among them.")


def mode_of(records: Iterable[Job | Skipped]) -> int:
    """Return the mode of a file that tells of recordings: who may read it may read each of them."""
    mode = ANYBODY
    for record in records:
        mode &= mode_like(Path(record.address), is_private=record.is_private)
    return mode


def _as_line(record: Record) -> str:
    kind = next(name for name, cls in KINDS.items() if isinstance(record, cls))
    values = {"record": kind, **asdict(record)}
    if not values.get("is_private", True):  # the rule, which needs no word
        del values["is_private"]
    return canonical_json({**values, "check": _check(values)})


def _check(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(values).encode()).hexdigest()[:CHECK_DIGITS]


def _read_header(line: str, path: Path) -> Header:
    try:
        values = _parsed(line, 1, path)
    except InputError:
        values = {}
    if values.get("format") != FORMAT:
        raise InputError(f"Expected a manifest, received {path}, whose first line is no header of one. {PLAN_AGAIN}.")
    found, wanted = ((values.get("format_version"), values.get("output_version")), (FORMAT_VERSION, OUTPUT_VERSION))
    if found != wanted:
        raise InputError(
            f"{path}, line 1: the manifest is of format {shown(found[0])}, results {shown(found[1])} "
            f"(nwb-cascade {shown(values.get('nwb_cascade', 'unknown')).strip(chr(39))}); this "
            f"is nwb-cascade {software_version()}, format {wanted[0]}, "
            f"results {wanted[1]}. {PLAN_AGAIN}, or run it with the version that made it."
        )
    return _typed(values, Header, 1, path)


def _read_line(line: str, number: int, path: Path) -> Record:
    values = _parsed(line, number, path)
    kind = KINDS.get(str(values.get("record")))
    if kind is None:
        raise InputError(f"{path}, line {number}: expected a job or a skipped file. {PLAN_AGAIN}.")
    record = _typed(values, kind, number, path)
    if isinstance(record, Job) and record.id != job_id(record.content_id, record.model_sha256, record.parameters):
        raise InputError(
            f"{path}, line {number}: the job {record.id} is not that of its content, model and parameters: the line "
            f"was edited. {PLAN_AGAIN}."
        )
    return record


def _parsed(line: str, number: int, path: Path) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}, line {number}: not a line of JSON ({error}). {PLAN_AGAIN}.") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}, line {number}: expected a JSON object. {PLAN_AGAIN}.")
    return values


def _typed(values: dict[str, Any], kind: type[_Record], number: int, path: Path) -> _Record:
    """Make a record of the values of a line, which has to be as it was written."""
    check = values.pop("check", None)
    if check != _check(values):
        raise InputError(f"{path}, line {number}: the line was edited since it was written. {PLAN_AGAIN}.")
    values.pop("record", None)
    try:
        record = kind(**values)
    except TypeError as error:
        raise InputError(f"{path}, line {number}: {error}. {PLAN_AGAIN}.") from error
    return record
