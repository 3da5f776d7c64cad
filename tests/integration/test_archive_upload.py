"""A derived dandiset goes to the archive by dandi's own uploader, byte for byte."""

import os
import re

import pytest
import yaml
from click.testing import CliRunner

from nwb_cascade.archive.collect import collect
from nwb_cascade.archive.derived import read_dandiset_file, registered
from nwb_cascade.archive.job import Settings, perform
from nwb_cascade.archive.ledger import Ledger
from nwb_cascade.archive.manifest import Manifest
from nwb_cascade.cli import main
from tests.support.archive_jobs import file_job, manifest_of
from tests.support.dandi_content import COMPLETE, Archive
from tests.support.dandi_server import DandiServer
from tests.support.dandi_uploads import UploadRoutes
from tests.support.fake_runs import fake_run
from tests.support.recordings import dff_recording, simulated_dff

MINE = "000123"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Nothing of whoever runs the tests: no key, no key ring, no default instance."""
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("DANDI_INSTANCE", raising=False)
    monkeypatch.setenv("DANDI_NO_ET", "1")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")


@pytest.fixture
def derived(tmp_path, monkeypatch):
    """Two results, collected."""
    monkeypatch.setattr("nwb_cascade.annotation.annotate.prepare_run", fake_run)
    jobs = [file_job(dff_recording(tmp_path / f"take{n}.nwb", simulated_dff(seed=n))) for n in range(2)]
    ledger = Ledger(tmp_path / "out")
    ledger.prepare()
    assert [perform(job, Settings(str(ledger.folder))).status for job in jobs] == ["done", "done"]
    collect(Manifest(manifest_of(tmp_path / "m.jsonl", *jobs)), ledger, tmp_path / "derived")
    return tmp_path / "derived"


@pytest.fixture
def server():
    archive = Archive()
    archive.add(MINE, metadata=COMPLETE)
    with DandiServer(archive, routes=UploadRoutes) as server:
        yield server


def upload(derived, server, *options, dandiset=MINE):
    arguments = ["archive", "upload", derived, "--dandiset", dandiset, "--instance", server.api_url, *options]
    return CliRunner().invoke(main, list(map(str, arguments)))


def stored(server):
    """Content of the dandiset on the server by path."""
    return {path: asset.stored.content for path, asset in server.archive.dandisets[MINE].versions["draft"].items()}


def test_the_results_and_nothing_else_are_there_afterwards(derived, server, monkeypatch):
    monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
    monkeypatch.setenv("DANDI_API_KEY", server.token)
    files = {path.relative_to(derived).as_posix(): path.read_bytes() for path in derived.rglob("*.nwb")}
    assert len(files) == 2

    dry = upload(derived, server, "--dry-run")
    assert (dry.exit_code, server.count()) == (0, 0), dry.output
    sent = upload(derived, server)
    assert sent.exit_code == 0, sent.output
    assert stored(server) == files
    assert server.archive.dandisets[MINE].metadata == COMPLETE  # only with --with-metadata
    for asset in server.archive.dandisets[MINE].versions["draft"].values():
        assert asset.metadata["wasAttributedTo"][0]["species"]["name"].startswith("Mus musculus")
    parts = server.served(r"^/blobs/uploads/\d+/\d+$", method="PUT")
    assert len(parts) == 2
    assert not any(one.has_authorization for one in server.served() if one.is_storage)
    assert server.token not in dry.output + sent.output + (derived / "dandiset.yaml").read_text()

    server.routes.received.clear()
    assert upload(derived, server).exit_code == 0
    assert server.routes.received == []  # all of it is there


def test_a_result_that_is_another_one_now_replaces_that_on_the_server(derived, server, monkeypatch):
    monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
    monkeypatch.setenv("DANDI_API_KEY", server.token)
    path = sorted(derived.rglob("*.nwb"))[0].relative_to(derived).as_posix()
    server.archive.dandisets[MINE].add(path, b"of another day", metadata={"blobDateModified": "2020-01-01T00:00:00Z"})
    assert upload(derived, server).exit_code == 0
    assert stored(server)[path] == (derived / path).read_bytes()


def with_source(derived):
    """Say that the results were derived from another dandiset; returns that."""
    source = {
        "schemaKey": "Resource",
        "identifier": "DANDI:000001/0.1.2",
        "url": "https://dandiarchive.org/dandiset/000001/0.1.2",
        "relation": "dcite:IsDerivedFrom",
    }
    path = derived / "dandiset.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "relatedResource": [source]}))
    return source


def test_with_metadata_the_sources_are_added_and_a_valid_dandiset_stays_valid(derived, server, monkeypatch):
    monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
    monkeypatch.setenv("DANDI_API_KEY", server.token)
    dandiset, source = server.archive.dandisets[MINE], with_source(derived)
    assert dandiset.version_info("draft")["status"] == "Valid"

    dry = upload(derived, server, "--with-metadata", "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "Metadata, would be added: relatedResource: dcite:IsDerivedFrom DANDI:000001/0.1.2" in dry.stdout
    assert (server.routes.received, dandiset.metadata) == ([], COMPLETE)

    sent = upload(derived, server, "--with-metadata")
    assert sent.exit_code == 0, sent.output
    assert "Metadata, to be added: keywords: calcium imaging, spike inference" in sent.stdout
    assert f"Added to the metadata of dandiset {MINE}; all else there is as it was." in sent.stdout
    info = dandiset.version_info("draft")
    assert (info["status"], info["version_validation_errors"]) == ("Valid", [])
    keywords = ["calcium imaging", "spike inference"]
    assert dandiset.metadata == {**COMPLETE, "keywords": keywords, "relatedResource": [source]}

    server.routes.received.clear()
    again = upload(derived, server, "--with-metadata")
    assert (again.exit_code, server.routes.received) == (0, [])
    assert "Metadata: all of it is there." in again.stdout


def test_metadata_that_would_be_invalid_are_refused_before_anything_is_sent(derived, server, monkeypatch):
    monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
    monkeypatch.setenv("DANDI_API_KEY", server.token)
    with_source(derived)
    path = derived / "dandiset.yaml"
    path.write_text(path.read_text().replace("https://dandiarchive.org", "dandiarchive"))
    result = upload(derived, server, "--with-metadata")
    assert result.exit_code == 1
    assert re.search(r"Error: Expected metadata .* relatedResource\.0\.url: .*; nothing was sent", result.stderr), (
        result
    )
    assert (server.routes.received, stored(server)) == ([], {})


@pytest.mark.parametrize(
    ("key", "dandiset", "message"),
    [
        (
            None,
            MINE,
            r"Uploading to \S+ needs an API key: set the .* DANDI_API_KEY and DANDI_INSTANCE to \S+\.",
        ),
        ("wrong", MINE, r"\S+ refuses the API key in DANDI_API_KEY for 000123: it is wrong, or has no access there\."),
        ("right", "000999", r"There is no dandiset 000999 on \S+; check its number\."),
        ("right", "123", r"Expected the number of a dandiset such as 000123, received '123'\."),
    ],
)
def test_what_cannot_be_done_is_one_sentence(derived, server, monkeypatch, key, dandiset, message):
    if key is not None:
        monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
        monkeypatch.setenv("DANDI_API_KEY", server.token if key == "right" else key)
    result = upload(derived, server, dandiset=dandiset)
    assert result.exit_code == 1
    assert re.fullmatch(f"Error: {message}", result.stderr.splitlines()[-1]), result.output
    assert stored(server) == {}


def test_a_storage_that_fails_is_told_and_the_rest_is_sent_the_next_time(derived, server, monkeypatch):
    from tests.support.dandi_faults import Fault

    monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
    monkeypatch.setenv("DANDI_API_KEY", server.token)
    server.faults.script(Fault.EXPIRED, r"^/blobs/uploads/1/1$")
    first = upload(derived, server)
    assert first.exit_code == 1
    assert len(stored(server)) == 1
    assert upload(derived, server).exit_code == 0
    assert len(stored(server)) == 2
    assert identifier(derived) == "unregistered"  # the number of a dandiset elsewhere


def identifier(derived):
    return yaml.safe_load((derived / "dandiset.yaml").read_text())["identifier"]


@pytest.mark.parametrize(
    ("instance", "before", "within", "after"),
    [
        ("dandi", "unregistered", "DANDI:000123", "DANDI:000123"),
        ("dandi-sandbox", "DANDI:000007", "DANDI-SANDBOX:000123", "DANDI-SANDBOX:000123"),
        ("127.0.0.1:8000", "DANDI:000007", "DANDI:000123", "DANDI:000007"),
    ],
)
def test_a_number_stays_where_it_means_that_dandiset(derived, instance, before, within, after):
    values = read_dandiset_file(derived) | {"identifier": before}
    (derived / "dandiset.yaml").write_text(yaml.safe_dump(values))
    with registered(derived, MINE, instance):
        assert identifier(derived) == within
    assert identifier(derived) == after
    (derived / "dandiset.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(OSError, match="gone"), registered(derived, MINE, instance):
        raise OSError("gone")
    assert identifier(derived) == before


@pytest.mark.parametrize("options", [(), ("--with-metadata",)])
def test_what_an_archive_elsewhere_answers_is_told_of_that_archive(derived, server, monkeypatch, options):
    monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
    monkeypatch.setenv("DANDI_API_KEY", "wrong")
    result = upload(derived, server, *options)
    where = server.url.removeprefix("http://")
    assert result.stderr.splitlines()[-1].startswith(f"Error: {where} refuses the API key in DANDI_API_KEY for 000123")
    assert identifier(derived) == "unregistered"
