"""Download of one file over HTTP: survives dropped connections, resumes where an earlier run stopped."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from nwb_cascade.core.progress import Progress
from nwb_cascade.files.connections import is_untrusted, why
from nwb_cascade.files.hashing import file_sha256

MAX_BYTES = 2**30
ATTEMPTS = 5
BACKOFF_S = 0.5
TIMEOUT_S = (10.0, 60.0)
_CHUNK = 2**13  # what a dropped connection costs at most
_RETRIED_STATUS = (429, 500, 502, 503, 504)
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


def read_text(url: str, *, backoff_s: float = BACKOFF_S) -> str:
    """Fetch a small text file.

    Raises
    ------
    FileNotFoundError
        If the server has no such file.
    ConnectionError
        If the server cannot be reached or keeps failing.
    """
    with _session(backoff_s) as session:
        try:
            response = session.get(url, timeout=TIMEOUT_S)
        except requests.RequestException as error:
            raise ConnectionError(f"{url} could not be read: {why(error)}.") from error
        _check_status(response, url)
        return response.text


def download(url: str, target: Path, *, progress: Progress | None = None, backoff_s: float = BACKOFF_S) -> str:
    """Download a file, continuing a partial one beside the target if the server still has the same file.

    Parameters
    ----------
    url : str
        An http or https address.
    target : pathlib.Path
        Where the file goes; it appears only when complete. ``{target}.part`` holds what came so far.
    progress : callable, optional
        Called with (bytes so far, bytes in all; 0 if unknown).
    backoff_s : float
        Pause before the second attempt, s; doubled for every further one.

    Returns
    -------
    str
        SHA-256 of the file, hexadecimal.

    Raises
    ------
    FileNotFoundError
        If the server has no such file.
    ConnectionError
        If the connection still fails after several attempts; a later call resumes.
    ValueError
        If the file is larger than 1 GiB.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(target, url)
    with _session(backoff_s, reconnects=0) as session:
        for attempt in range(ATTEMPTS):
            try:
                _receive(session, part, progress)
                break
            except (requests.RequestException, _IncompleteError) as error:
                if is_untrusted(error):
                    raise ConnectionError(f"{url} is not downloaded: {why(error)}.") from error
                if attempt == ATTEMPTS - 1:
                    raise ConnectionError(
                        f"{url} was not received in full after {ATTEMPTS} attempts ({why(error)}); "
                        f"{part.size} bytes are kept, run it again to resume."
                    ) from error
                time.sleep(backoff_s * 2**attempt)
    return part.finish()


class _IncompleteError(Exception):
    """The connection ended before the file did."""


class _Part:
    """A partial download: the bytes so far, and a note of which version of which file they belong to."""

    def __init__(self, target: Path, url: str) -> None:
        self.target = target
        self.url = url
        self.path = target.with_name(target.name + ".part")
        self.note_path = target.with_name(target.name + ".part.json")
        self.validator = self._read_validator()
        if self.validator is None:
            self.path.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def restart(self, response: requests.Response) -> None:
        """Drop what came so far and note the version that the server sends now."""
        self.path.unlink(missing_ok=True)
        etag = response.headers.get("ETag", "")
        self.validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
        self.note_path.write_text(json.dumps({"url": self.url, "validator": self.validator}))

    def finish(self) -> str:
        """Move the complete file to its place and return its hash."""
        sha256 = file_sha256(self.path)
        os.replace(self.path, self.target)
        self.note_path.unlink(missing_ok=True)
        return sha256

    def _read_validator(self) -> str | None:
        """Return the noted version ("" if the server named none); None without a usable partial file."""
        try:
            note = json.loads(self.note_path.read_text())
        except (OSError, ValueError):
            return None
        same = isinstance(note, dict) and note.get("url") == self.url and self.path.exists()
        return str(note.get("validator", "")) if same else None


def _receive(session: requests.Session, part: _Part, progress: Progress | None) -> None:
    """Ask for the missing bytes and append them; raises _IncompleteError when the body stops early."""
    headers = {"Accept-Encoding": "identity"}
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
        if part.validator:
            headers["If-Range"] = part.validator
    with session.get(part.url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        start, total = _position(response)
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            if total == part.size:
                return
            part.path.unlink(missing_ok=True)
            raise _IncompleteError("the file on the server has changed")
        _check_status(response, part.url)
        if start != part.size or start == 0:
            part.restart(response)
        if start != part.size:
            raise _IncompleteError(f"the server continued at byte {start}, not {part.size}")
        _append(response, part, total, progress)
    if total and part.size != total:
        raise _IncompleteError(f"{part.size} of {total} bytes")


def _append(response: requests.Response, part: _Part, total: int, progress: Progress | None) -> None:
    done = part.size
    with part.path.open("ab") as file:
        for chunk in response.iter_content(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            if progress is not None:
                progress(done, total)
            if done > MAX_BYTES:
                break
    if done > MAX_BYTES:
        part.path.unlink()
        raise ValueError(f"Expected a file of at most {MAX_BYTES} bytes at {part.url}, received more.")


def _position(response: requests.Response) -> tuple[int, int]:
    """Return the first byte of the body and the size of the whole file (0 if unknown)."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status_code == requests.codes.ok or match is None:
        return 0, int(response.headers.get("Content-Length", 0))
    return int(match[1] or 0), 0 if match[2] == "*" else int(match[2])


def _check_status(response: requests.Response, url: str) -> None:
    if response.status_code in (404, 410):
        raise FileNotFoundError(f"The server has no file at {url} (status {response.status_code}).")
    if not response.ok:
        raise ConnectionError(f"The server refused {url}: status {response.status_code} {response.reason}.")


def _session(backoff_s: float, *, reconnects: int = ATTEMPTS) -> requests.Session:
    retry = Retry(
        total=ATTEMPTS,
        connect=reconnects,
        read=reconnects,
        other=0,  # such as certificates
        backoff_factor=backoff_s,
        status_forcelist=_RETRIED_STATUS,
        allowed_methods=("GET",),
        raise_on_status=False,
    )
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session
