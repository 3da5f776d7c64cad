"""A local HTTP server that can misbehave in the ways that downloads must survive."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class Resource:
    """One file of the server.

    ``cut_after``: for each coming request, the number of body bytes after which the connection is closed (None: not
    at all); requests beyond the list are served in full. ``failures``: status codes with which the next requests are
    refused. ``ranges``: whether the server honours Range headers. ``declares_length``: whether it sends
    Content-Length for whole files.
    """

    body: bytes
    content_type: str = "application/zip"
    etag: str | None = '"one"'
    ranges: bool = True
    declares_length: bool = True
    cut_after: list[int | None] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)


@dataclass
class LocalServer:
    """Address, files by path, and the requests so far as (path, Range header or None)."""

    url: str
    resources: dict[str, Resource]
    requests: list[tuple[str, str | None]] = field(default_factory=list)


@contextmanager
def local_server(resources: dict[str, Resource] | None = None) -> Iterator[LocalServer]:
    """Serve on a free port of this machine until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    state = LocalServer(f"http://127.0.0.1:{server.server_port}", {} if resources is None else resources)
    server.state = state  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        state: LocalServer = self.server.state  # type: ignore[attr-defined]
        state.requests.append((self.path, self.headers.get("Range")))
        resource = state.resources.get(self.path)
        if resource is None:
            self._refuse(404)
        elif resource.failures:
            self._refuse(resource.failures.pop(0))
        else:
            self._serve(resource)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output quiet."""

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _serve(self, resource: Resource) -> None:
        start = self._start(resource)
        if start is not None and start >= len(resource.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(resource.body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = resource.body[start or 0 :]
        self._send_headers(resource, start, len(body))
        cut = resource.cut_after.pop(0) if resource.cut_after else None
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None or not resource.declares_length:
            self.close_connection = True

    def _start(self, resource: Resource) -> int | None:
        """First byte that the client asked for; None for the whole file."""
        asked = self.headers.get("Range")
        condition = self.headers.get("If-Range")
        if asked is None or not resource.ranges or (condition is not None and condition != resource.etag):
            return None
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _send_headers(self, resource: Resource, start: int | None, length: int) -> None:
        self.send_response(200 if start is None else 206)
        self.send_header("Content-Type", resource.content_type)
        if resource.etag is not None:
            self.send_header("ETag", resource.etag)
        if start is not None:
            size = len(resource.body)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if resource.declares_length:
            self.send_header("Content-Length", str(length))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
