"""Downloads over a connection that drops, and the resumption of an earlier run."""

import hashlib

import pytest

from nwb_cascade.files import download as module
from nwb_cascade.files.download import download, read_text
from tests.support.http_server import Resource, local_server

BODY = bytes(range(256)) * 1000
DIGEST = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server():
    with local_server() as running:
        yield running


def fetch(server, target, **options):
    return download(server.url + "/f.zip", target, backoff_s=0, **options)


def test_a_whole_file_arrives_with_its_hash(server, tmp_path):
    server.resources["/f.zip"] = Resource(BODY)
    calls = []
    target = tmp_path / "sub" / "f.zip"
    assert fetch(server, target, progress=lambda done, total: calls.append((done, total))) == DIGEST
    assert target.read_bytes() == BODY
    assert list(target.parent.iterdir()) == [target]
    assert calls[-1] == (len(BODY), len(BODY))
    assert calls == sorted(calls)


def test_a_dropped_connection_is_resumed_in_the_same_run(server, tmp_path):
    server.resources["/f.zip"] = Resource(BODY, cut_after=[100_000, 50_000])
    assert fetch(server, tmp_path / "f.zip") == DIGEST
    starts = [asked for _, asked in server.requests]
    assert starts[0] is None
    assert all(asked.startswith("bytes=") for asked in starts[1:])
    assert len(starts) == 3


def test_an_interrupted_run_is_resumed_by_the_next(server, tmp_path):
    server.resources["/f.zip"] = Resource(BODY, cut_after=[98_304] + [0] * 4)
    with pytest.raises(ConnectionError, match=r"not received in full after 5 attempts.*98304 bytes are kept"):
        fetch(server, tmp_path / "f.zip")
    assert not (tmp_path / "f.zip").exists()
    assert (tmp_path / "f.zip.part").stat().st_size == 98_304
    assert fetch(server, tmp_path / "f.zip") == DIGEST
    assert server.requests[-1][1] == "bytes=98304-"
    assert [path.name for path in tmp_path.iterdir()] == ["f.zip"]


def test_a_file_that_changed_meanwhile_is_downloaded_anew(server, tmp_path):
    server.resources["/f.zip"] = Resource(b"old!" * 5000, cut_after=[8192] + [0] * 4)
    with pytest.raises(ConnectionError, match="8192 bytes are kept"):
        fetch(server, tmp_path / "f.zip")
    server.resources["/f.zip"] = Resource(BODY, etag='"two"')
    assert fetch(server, tmp_path / "f.zip") == DIGEST
    assert server.requests[-1][1] == "bytes=8192-"


def test_a_partial_file_of_another_address_is_dropped(server, tmp_path):
    server.resources["/g.zip"] = Resource(b"other" * 5000, cut_after=[8192] + [0] * 4)
    server.resources["/f.zip"] = Resource(BODY)
    with pytest.raises(ConnectionError, match="kept"):
        download(server.url + "/g.zip", tmp_path / "f.zip", backoff_s=0)
    assert fetch(server, tmp_path / "f.zip") == DIGEST
    assert server.requests[-1] == ("/f.zip", None)


def test_a_partial_file_without_its_note_is_dropped(server, tmp_path):
    server.resources["/f.zip"] = Resource(BODY)
    (tmp_path / "f.zip.part").write_bytes(b"unknown")
    assert fetch(server, tmp_path / "f.zip") == DIGEST
    assert server.requests[-1][1] is None


def test_a_server_without_ranges_starts_again(server, tmp_path):
    server.resources["/f.zip"] = Resource(BODY, ranges=False, cut_after=[100_000])
    assert fetch(server, tmp_path / "f.zip") == DIGEST


def test_a_run_that_stopped_just_before_the_rename_only_renames(server, tmp_path):
    server.resources["/f.zip"] = Resource(BODY, declares_length=False, cut_after=[len(BODY)])
    part = tmp_path / "f.zip.part"
    part.write_bytes(BODY)
    (tmp_path / "f.zip.part.json").write_text(f'{{"url": "{server.url}/f.zip", "validator": "\\"one\\""}}')
    assert fetch(server, tmp_path / "f.zip") == DIGEST
    assert server.requests == [("/f.zip", f"bytes={len(BODY)}-")]


def test_a_partial_file_longer_than_the_file_is_dropped(server, tmp_path):
    server.resources["/f.zip"] = Resource(BODY)
    (tmp_path / "f.zip.part").write_bytes(BODY + b"more")
    (tmp_path / "f.zip.part.json").write_text(f'{{"url": "{server.url}/f.zip", "validator": ""}}')
    assert fetch(server, tmp_path / "f.zip") == DIGEST


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_refusal_is_retried(server, tmp_path, status):
    server.resources["/f.zip"] = Resource(BODY, failures=[status, status])
    assert fetch(server, tmp_path / "f.zip") == DIGEST
    assert len(server.requests) == 3


def test_a_lasting_refusal_is_an_error_with_its_status(server, tmp_path):
    server.resources["/f.zip"] = Resource(BODY, failures=[503] * 50)
    with pytest.raises(ConnectionError, match=r"refused http://127\.0\.0\.1.*: status 503"):
        fetch(server, tmp_path / "f.zip")


def test_a_file_that_is_not_there_is_no_reason_to_retry(server, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file at http.*f\.zip \(status 404\)"):
        fetch(server, tmp_path / "f.zip")
    assert len(server.requests) == 1


def test_a_forbidden_file_is_an_error_with_its_status(server, tmp_path):
    server.resources["/f.zip"] = Resource(BODY, failures=[403])
    with pytest.raises(ConnectionError, match="status 403"):
        fetch(server, tmp_path / "f.zip")
    assert len(server.requests) == 1


def test_a_server_that_cannot_be_reached_is_named(tmp_path):
    with local_server() as gone:
        url = gone.url
    with pytest.raises(ConnectionError, match=f"{url}/f.zip was not received in full"):
        download(url + "/f.zip", tmp_path / "f.zip", backoff_s=0)
    with pytest.raises(ConnectionError, match=f"{url}/r.yaml could not be read"):
        read_text(url + "/r.yaml", backoff_s=0)


def test_an_endless_file_is_stopped(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 100_000)
    server.resources["/f.zip"] = Resource(BODY, declares_length=False)
    with pytest.raises(ValueError, match="at most 100000 bytes"):
        fetch(server, tmp_path / "f.zip")
    assert not list(tmp_path.glob("*.zip*part"))


def test_a_file_of_undeclared_length_arrives(server, tmp_path):
    server.resources["/f.zip"] = Resource(BODY, declares_length=False)
    assert fetch(server, tmp_path / "f.zip") == DIGEST


def test_a_refused_connection_is_tried_as_often_as_is_said_and_not_in_loops_within_loops(tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr("time.sleep", waited.append)
    with local_server() as gone:
        url = gone.url
    with pytest.raises(ConnectionError, match="after 5 attempts"):
        download(url + "/f.zip", tmp_path / "f.zip")
    assert waited == [0.5, 1.0, 2.0, 4.0]
