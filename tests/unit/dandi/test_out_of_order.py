"""Servers that answer nonsense, lack what they list, or show a certificate of their own: one sentence, and soon."""

import re
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner

from nwb_cascade.cli import main
from nwb_cascade.dandi.link import Link
from nwb_cascade.dandi.transport import RangeReader
from nwb_cascade.errors import RemoteError
from nwb_cascade.files.download import read_text
from tests.support.dandi_content import Archive
from tests.support.dandi_routes import Response, Routes, as_xml
from tests.support.dandi_server import DandiServer
from tests.support.recordings import dff_recording, simulated_dff


class Broken(Routes):
    """Answers requests whose path matches in a way of its own."""

    pattern, reply = "$^", Response(200)

    def answer(self, request):
        return self.reply if re.search(self.pattern, request.path) else super().answer(request)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    archive = Archive()
    dandiset = archive.add("000001")
    for name in ("a.nwb", "a.nwb.zarr"):
        dandiset.add(f"sub-1/{name}", dff_recording(folder / name, simulated_dff()))
    return archive


@pytest.fixture
def server(archive):
    with DandiServer(archive, routes=Broken) as server:
        yield server


def inspected(server, name):
    """What the command says of an asset."""
    address = f"dandi://{server.url.removeprefix('http://')}/000001/sub-1/{name}"
    result = CliRunner().invoke(main, ["inspect", address])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert len(line) < 400
    assert line.count("sub-1/") == 1
    return line


@pytest.mark.parametrize(
    ("path", "name", "body"),
    [
        (r"/info/$", "a.nwb", b"{}"),
        (r"/info/$", "a.nwb", b"<html>"),
        (r"/dandisets/000001/$", "a.nwb", b"{}"),
        (r"/dandisets/000001/$", "a.nwb", b"<html>"),
        (r"/assets/$", "a.nwb", b"{}"),
        (r"/assets/$", "a.nwb", b"[]"),
        (r"/zarr/[^/]+/files/$", "a.nwb.zarr", b"[]"),
        (r"/assets/$", "a.nwb", b"[" * 100_000),
        (r"/api/assets/[^/]+/$", "a.nwb", b"[" * 100_000),
        (r"/zarr/[^/]+/files/$", "a.nwb.zarr", b"[" * 100_000),
    ],
)
def test_what_is_no_archive_is_told_in_words_of_ours(server, monkeypatch, path, name, body):
    monkeypatch.setattr(Broken, "pattern", path)
    monkeypatch.setattr(Broken, "reply", Response(200, body, {"Content-Type": "application/json"}))
    assert "does not answer as a DANDI archive" in inspected(server, name)


@pytest.mark.parametrize(("name", "status"), [("a.nwb", 403), ("a.nwb", 404), ("a.nwb.zarr", 403)])
def test_what_the_storage_lacks_is_asked_for_a_few_times_only(server, monkeypatch, name, status):
    monkeypatch.setattr(Broken, "pattern", r"^/(blobs|zarr)/")
    monkeypatch.setattr(Broken, "reply", as_xml(status, "NoSuchKey", "The specified key does not exist."))
    said = inspected(server, name)
    assert f"the archive lists it, but its storage refuses every link to it (status {status})" in said
    assert server.count(r"^/(blobs|zarr)/") <= 4


@pytest.fixture
def https(tmp_path):
    """Address of a server with a certificate of its own, and how often it was called."""
    security = pytest.importorskip("distributed.security", reason="needs distributed")
    keys = security.Security.temporary()
    (tmp_path / "server.pem").write_text(keys.tls_scheduler_cert + keys.tls_scheduler_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    calls = []

    class Server(HTTPServer):
        def get_request(self):
            calls.append(1)
            connection, address = super().get_request()
            return context.wrap_socket(connection, server_side=True), address

        def handle_error(self, request, client_address):
            """Clients go away."""

    server = Server(("127.0.0.1", 0), BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}", calls
    server.shutdown()
    server.server_close()


UNTRUSTED = r"its certificate is not trusted: self[- ]signed certificate"


def test_a_model_from_a_server_with_a_bad_certificate_is_refused_at_once(https, tmp_path, monkeypatch):
    monkeypatch.setenv("NWB_CASCADE_MODELS", str(tmp_path / "models"))
    url, calls = https
    (tmp_path / "registry.yaml").write_text(f"Global_EXC_30Hz:\n  Link: {url}/model.zip\n")
    words = ["models", "fetch", "Global_EXC_30Hz", "--registry", str(tmp_path / "registry.yaml")]
    result = CliRunner().invoke(main, words)
    assert re.fullmatch(rf"Error: {url}/model\.zip is not downloaded: {UNTRUSTED}[^.]*\.", result.stderr.strip())
    assert len(calls) == 1
    with pytest.raises(ConnectionError, match=UNTRUSTED):
        read_text(f"{url}/registry.yaml")
    assert len(calls) == 2


def test_a_recording_from_a_server_with_a_bad_certificate_is_refused_at_once(https):
    url, calls = https
    link = Link("name", f"{url}/a.nwb", "", None)
    with pytest.raises(RemoteError, match=rf"^name cannot be read: {UNTRUSTED}"):
        RangeReader(link, size=10).read(0, 5)
    assert len(calls) == 1
