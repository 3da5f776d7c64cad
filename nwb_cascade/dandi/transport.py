"""Bytes of a remote file over HTTP, surviving what connections and servers do: one range in, all its bytes out."""

from __future__ import annotations

import re
import time
from collections import deque

import requests

from nwb_cascade.dandi.link import (
    BUSY,
    REFUSED,
    Link,
    RetryPolicy,
    Sessions,
    TransientError,
    asked_wait_s,
    without_query,
)
from nwb_cascade.errors import RemoteChangedError, RemoteError
from nwb_cascade.files.connections import is_untrusted, why

MAX_REFUSALS = 3  # of links in a row, all but the first of them fresh
PIECE_BYTES = 64 * 1024  # read at a time; what a broken connection may cost


class RangeReader:
    """Reads ranges of one file; for any number of threads, each with a connection of its own.

    Parameters
    ----------
    link : Link
        Where the file is.
    size : int
        Its bytes.
    etag : str
        The etag that it must have; empty: that of the first answer.
    policy : RetryPolicy, optional
        How patient to be.
    sessions : Sessions, optional
        Connections to share with readers of other files.
    """

    def __init__(
        self,
        link: Link,
        *,
        size: int,
        etag: str = "",
        policy: RetryPolicy | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        self.size = size
        self.etag = etag
        self._link = link
        self._policy = policy or RetryPolicy()
        self._timeout = (self._policy.connect_timeout_s, self._policy.read_timeout_s)
        self._sessions = sessions or Sessions()
        self._received: deque[int] = deque()

    @property
    def n_requests(self) -> int:
        """Requests answered so far with some bytes."""
        return len(self._received)

    @property
    def n_bytes(self) -> int:
        """Bytes received so far."""
        return sum(self._received)

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from start up to stop.

        A broken answer is continued at the byte where it broke, after a wait that grows with the failures in a row.

        Raises
        ------
        RemoteChangedError
            If the file is not the one expected any more.
        RemoteError
            If the bytes do not come in spite of every attempt.
        PermissionError
            If the asset may not be read.
        """
        content, failures, refusals = bytearray(), 0, 0
        while len(content) < stop - start and self.size != 0:
            before = len(content)
            error = self._attempt(start + before, stop, content)
            if error is None:
                continue
            failures = failures + 1 if len(content) == before else 1
            refusals = refusals + 1 if error.is_expired else 0
            if refusals > MAX_REFUSALS:
                raise RemoteError(
                    f"{self._link.name} cannot be read: the archive lists it, but its storage refuses every link to it "
                    f"({error}); it is missing there, or not yours to read."
                )
            if failures >= self._policy.attempts:
                raise RemoteError(
                    f"{self._link.name}: bytes {start + len(content)} to {stop} did not come in {failures} attempts "
                    f"({error}); try again later."
                )
            if not (error.is_expired and failures == 1):
                time.sleep(self._policy.wait_s(failures, error.wait_s))
        return bytes(content)

    def probe(self) -> None:
        """Find out size and etag of a file of which only the URL is known."""
        self.size = -1
        self.read(0, 1)

    def _attempt(self, start: int, stop: int, content: bytearray) -> TransientError | None:
        """Make one request and append what comes; returns what went wrong if that may pass."""
        try:
            self._receive(start, stop, content)
        except TransientError as error:
            return error
        return None

    def _receive(self, start: int, stop: int, content: bytearray) -> None:
        """Make one request and append what comes; raises TransientError if that is not all."""
        expected = len(content) + stop - start
        session = self._sessions.session
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        before = len(content)
        try:
            url = self._link.url(session, self._timeout)
            with session.get(url, headers=headers, stream=True, timeout=self._timeout) as response:
                if not self._check(response, url, start, stop):
                    return
                for piece in response.iter_content(PIECE_BYTES):
                    content += piece
        except requests.RequestException as error:
            reason = without_query(why(error))
            if is_untrusted(error):
                raise RemoteError(f"{self._link.name} cannot be read: {reason}.") from None
            raise TransientError(reason) from None
        finally:
            if len(content) > before:
                self._received.append(len(content) - before)
        if len(content) > expected:
            raise RemoteError(f"{self._link.name}: the server sent more bytes than it was asked for.")
        if len(content) < expected:
            raise TransientError(f"the answer ended {expected - len(content)} bytes early")

    def _check(self, response: requests.Response, url: str, start: int, stop: int) -> bool:
        """Tell whether the answer is that part of the same file; raises if it is another or none."""
        status, name = response.status_code, self._link.name
        if status in BUSY:
            raise TransientError(f"status {status}", wait_s=asked_wait_s(response))
        if status in REFUSED and self._link.drop(url):
            raise TransientError(f"status {status}", is_expired=True)
        if status == 416:
            return self._accept_empty(response)
        if status == 200 and self.size < 0 and response.headers.get("Content-Length") == "0":
            return self._accept_empty(response)
        if status not in (200, 206):
            raise RemoteError(f"{name} cannot be read: status {status}; check the address and your access.")
        self._check_etag(response)
        sent = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        is_part = sent is not None if status == 206 else (start, stop) == (0, self.size)
        if not is_part:
            raise RemoteError(f"{name}: the server does not serve parts of files; download the file instead.")
        if sent is not None:
            self._check_size(int(sent[2]))
            if int(sent[1]) != start:
                raise RemoteError(f"{name}: asked for bytes from {start}, the server sends them from {sent[1]}.")
        return True

    def _check_etag(self, response: requests.Response) -> None:
        etag = response.headers.get("ETag", "").removeprefix("W/").strip('"')
        if etag and self.etag and etag != self.etag:
            raise RemoteChangedError(
                f"{self._link.name} has changed: expected the etag {self.etag}, the server sends {etag}. "
                "Look the asset up again."
            )
        self.etag = self.etag or etag

    def _check_size(self, size: int) -> None:
        if self.size >= 0 and size != self.size:
            raise RemoteChangedError(
                f"{self._link.name} has changed: expected {self.size} bytes, the server has {size}. "
                "Look the asset up again."
            )
        self.size = size

    def _accept_empty(self, response: requests.Response) -> bool:
        """Handle the answer that there is no such part."""
        if self.size >= 0:
            raise RemoteChangedError(f"{self._link.name} has changed: it is shorter than it was. Look it up again.")
        self.size = 0
        return False
