"""A DANDI server on this machine: the real, unmodified client talks to it; it counts, delays and fails on demand.

    archive = Archive()
    archive.add("000001").add("sub-1/sub-1_ophys.nwb", path)
    with DandiServer(archive) as server:
        client = DandiAPIClient(server.api_url)

Tests set ``DANDI_NO_ET=1``, else the client asks the internet for its newest version.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.support.dandi_content import Archive
from tests.support.dandi_faults import Fault, Faults
from tests.support.dandi_routes import Request, Response, Routes, as_json, as_xml

SLICE_BYTES = 64 * 1024
TOKEN = "0123456789abcdef-test-token"


@dataclass(frozen=True)
class Served:
    """One answered request: what was asked, what was sent, and the fault injected, if any.

    `first_byte` is where the range asked for begins.
    """

    method: str
    target: str
    status: int
    n_bytes: int
    fault: Fault | None
    has_authorization: bool
    first_byte: int

    @property
    def is_storage(self) -> bool:
        """Whether it went to the bucket and not to the API."""
        return is_storage(self.target)


class DandiServer:
    """Serves an archive on a free port of 127.0.0.1 while its context is open.

    Parameters
    ----------
    archive : Archive
        What it holds; may be changed while it runs.
    delay_s : float
        Time that every request waits before it is answered.
    bytes_per_s : float, optional
        Most that a connection delivers; by default as much as it can.
    faults : Faults, optional
        Which requests fail; by default none.
    stall_s : float
        How long a stalled request stays silent.
    token : str
        The API key of the one user, who owns every embargoed dandiset.

    Attributes
    ----------
    meeting : (int, float)
        Requests to the API wait until so many were here at once, or for so many seconds.
    most_api_calls : int
        Most requests to the API at once so far, from their arrival to their answer.
    """

    def __init__(
        self,
        archive: Archive,
        *,
        delay_s: float = 0.0,
        bytes_per_s: float | None = None,
        faults: Faults | None = None,
        stall_s: float = 60.0,
        token: str = TOKEN,
        routes: type[Routes] = Routes,
        port: int = 0,
    ) -> None:
        self.archive = archive
        self.delay_s = delay_s
        self.bytes_per_s = bytes_per_s
        self.faults = faults or Faults()
        self.stall_s = stall_s
        self.token = token
        self.closing = threading.Event()
        self.meeting = (0, 0.0)
        self.most_api_calls = self._api_calls = 0
        self._calls = threading.Condition()
        self._lock = threading.Lock()
        self._log: list[Served] = []
        self._http = _HttpServer(("127.0.0.1", port), _Handler)
        self._http.owner = self
        self.routes = routes(archive, self.url, token)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def api_url(self) -> str:
        """Address of the API."""
        return f"{self.url}/api"

    def __enter__(self) -> DandiServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def served(self, pattern: str = "", *, method: str | None = None) -> list[Served]:
        """Return the requests so far whose target contains a regular expression."""
        with self._lock:
            log = list(self._log)
        return [s for s in log if re.search(pattern, s.target) and method in (None, s.method)]

    def count(self, pattern: str = "") -> int:
        """Count requests."""
        return len(self.served(pattern))

    def n_bytes(self, pattern: str = "") -> int:
        """Sum the bytes of bodies sent."""
        return sum(served.n_bytes for served in self.served(pattern))

    def reset(self) -> None:
        """Forget the requests so far."""
        with self._lock:
            self._log.clear()

    def expire_links(self) -> None:
        """Make every signed link handed out so far invalid."""
        self.routes.expire_links()

    @contextmanager
    def arrived(self, target: str) -> Iterator[None]:
        """Count a request to the API while it is here."""
        if is_storage(target):
            yield
            return
        with self._calls:
            self._api_calls += 1
            self.most_api_calls = max(self.most_api_calls, self._api_calls)
            self._calls.notify_all()
            wanted, seconds = self.meeting
            self._calls.wait_for(lambda: self.most_api_calls >= wanted, seconds)
        try:
            yield
        finally:
            with self._calls:
                self._api_calls -= 1

    def record(self, served: Served) -> None:
        """Note an answered request."""
        with self._lock:
            self._log.append(served)


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    owner: DandiServer


class _Handler(BaseHTTPRequestHandler):
    """Reads requests from a socket, lets the routes answer, and sends that, or a fault."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HttpServer

    def log_message(self, format: str, *args: object) -> None:
        """Keep stderr clean; `DandiServer.served` has the log."""

    def handle(self) -> None:
        """Serve a connection; one that the client broke off is no error."""
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def respond(self) -> None:
        owner = self.server.owner
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        split = urlsplit(self.path)
        query = dict(parse_qsl(split.query, keep_blank_values=True))
        fault = owner.faults.choose(self.path, is_storage=is_storage(self.path))
        request = Request(self.command, unquote(split.path), query, self.headers.get("Authorization"), body)
        with owner.arrived(self.path):
            if owner.delay_s:
                time.sleep(owner.delay_s)
            response = faulty(fault, owner.faults.retry_after_s) or ranged(
                owner.routes.answer(request), self.headers.get("Range")
            )
        self._send(response, fault)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = respond  # noqa: N815

    def _send(self, response: Response, fault: Fault | None) -> None:
        body = b"" if self.command == "HEAD" else response.body
        part = body[: len(body) // 2] if fault in (Fault.DROP, Fault.TRUNCATE, Fault.STALL) else body
        n_sent = 0 if fault is Fault.RESET else len(part)
        authorized = self.headers.get("Authorization") is not None
        first = re.match(r"bytes=(\d+)", self.headers.get("Range", ""))
        first_byte = int(first[1]) if first else 0
        served = Served(self.command, self.path, response.status, n_sent, fault, authorized, first_byte)
        self.server.owner.record(served)
        if fault is Fault.RESET:
            self._reset()
            return
        promised = len(part) if fault is Fault.TRUNCATE else len(response.body)
        self._send_head(response, promised, fault)
        self._write_slowly(part)
        if fault is Fault.STALL:
            self.server.owner.closing.wait(self.server.owner.stall_s)
        if fault in (Fault.DROP, Fault.STALL):
            self.close_connection = True

    def _write_slowly(self, body: bytes) -> None:
        rate = self.server.owner.bytes_per_s
        if rate is None:
            self.wfile.write(body)
            return
        for start in range(0, len(body), SLICE_BYTES):
            self.wfile.write(body[start : start + SLICE_BYTES])
            time.sleep(SLICE_BYTES / rate)

    def _send_head(self, response: Response, length: int, fault: Fault | None) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.etag is not None:
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("ETag", f'"{"0" * 32 if fault is Fault.ETAG else response.etag}"')
        self.send_header("Content-Length", str(length))
        # As the archive does, so that pages of other sites may read it.
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Expose-Headers", "Content-Range, ETag")
        self.end_headers()

    def _reset(self) -> None:
        """Close the connection with a reset, as a dying peer or a firewall would."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True


def is_storage(target: str) -> bool:
    """Tell requests to the bucket from requests to the API."""
    return target.startswith(("/blobs/", "/zarr/"))


def faulty(fault: Fault | None, retry_after_s: int) -> Response | None:
    """Return the answer of a fault that is a status, else None."""
    if fault is Fault.RATE_LIMIT:
        return replace(as_json({"detail": "Too many requests."}, 429), headers={"Retry-After": str(retry_after_s)})
    if fault is Fault.UNAVAILABLE:
        return as_xml(503, "SlowDown", "Please reduce your request rate.")
    if fault is Fault.EXPIRED:
        return as_xml(403, "AccessDenied", "Request has expired")
    return None


def ranged(response: Response, header: str | None) -> Response:
    """Cut the part that a Range header asks for out of a stored object."""
    if header is None or response.etag is None:
        return response
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header)
    if match is None:
        return response
    size, (first, last) = len(response.body), match.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if start >= size:
        return Response(416, headers={"Content-Range": f"bytes */{size}"}, etag=response.etag)
    headers = {**response.headers, "Content-Range": f"bytes {start}-{stop - 1}/{size}"}
    return replace(response, status=206, body=response.body[start:stop], headers=headers)
