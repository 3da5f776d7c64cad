"""Downloads: listings of GitHub and DANDI, checksums, resumption, failures of single files."""

import hashlib
import io
import json
import zipfile

import pytest

from ground_truth_nwb.fetch import LEDGER, Endpoints, fetch
from nwb_cascade.files.download import download, read_text
from tests.support.http_server import Resource, local_server

REPOSITORY = "/repos/HelmchenLabSoftware/Cascade/git/trees/master?recursive=1"
RAW = "/HelmchenLabSoftware/Cascade/master/"
FOLDER = "Ground_truth/DS05-Cal520-zf-pDp"
CONTENT = {f"{FOLDER}/CAttached_{number}_mini.mat": bytes([number]) * 5000 for number in (1, 2)}


def blob(path, content, **changes):
    sha = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return {"path": path, "type": "blob", "sha": sha, "size": len(content), **changes}


@pytest.fixture
def server():
    with local_server() as running:
        entries = [blob(path, content) for path, content in CONTENT.items()]
        entries += [blob("Ground_truth/DS06-GCaMP6f-zf-aDp/x_mini.mat", b"other"), blob(f"{FOLDER}/notes.txt", b"text")]
        publish(running, entries)
        for path, content in CONTENT.items():
            running.resources[RAW + path] = Resource(content)
        yield running


def publish(server, entries, **changes):
    listing = json.dumps({"tree": entries, "truncated": False, **changes}).encode()
    server.resources[REPOSITORY] = Resource(listing, content_type="application/json")


def run(server, target, datasets=("DS05",), **options):
    places = Endpoints(github_api=server.url, github_raw=server.url, dandi_api=f"{server.url}/api")

    def patient_download(url, path):
        return download(url, path, backoff_s=0.0)

    options = {"download": patient_download, "read_text": lambda url: read_text(url, backoff_s=0.0), **options}
    return fetch(datasets, target, endpoints=places, **options)


def test_files_of_the_data_set_arrive_with_their_checksums(server, tmp_path):
    calls = []
    results = run(server, tmp_path, progress=lambda *call: calls.append(call))
    assert [result.status for result in results] == ["fetched", "fetched"]
    assert calls == [(1, 2), (2, 2)]
    ledger = json.loads((tmp_path / LEDGER).read_text())
    for path, content in CONTENT.items():
        local = path.removeprefix("Ground_truth/")
        assert (tmp_path / local).read_bytes() == content
        assert ledger[local]["sha256"] == hashlib.sha256(content).hexdigest()
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == [
        "CAttached_1_mini.mat",
        "CAttached_2_mini.mat",
        LEDGER,
    ]


def test_second_run_downloads_only_what_is_missing_or_changed(server, tmp_path):
    run(server, tmp_path)
    one, two = (tmp_path / path.removeprefix("Ground_truth/") for path in CONTENT)
    one.unlink()
    two.write_bytes(b"x" * 5000)
    before = len(server.requests)
    assert [result.status for result in run(server, tmp_path)] == ["fetched", "fetched"]
    assert [result.status for result in run(server, tmp_path)] == ["present", "present"]
    assert len(server.requests) == before + 1 + 2 + 1
    assert two.read_bytes() == CONTENT[f"{FOLDER}/CAttached_2_mini.mat"]


def test_interrupted_file_is_continued(server, tmp_path):
    path = f"{FOLDER}/CAttached_1_mini.mat"
    body = bytes(range(256)) * 1000
    publish(server, [blob(path, body)])
    server.resources[RAW + path] = Resource(body, cut_after=[200_000])
    (result,) = run(server, tmp_path)
    assert result.status == "fetched"
    assert (tmp_path / result.path).read_bytes() == body
    continued = [asked for asked_path, asked in server.requests if asked_path == RAW + path and asked is not None]
    assert len(continued) == 1


def test_file_that_is_gone_is_recorded_and_does_not_stop_the_others(server, tmp_path):
    del server.resources[RAW + f"{FOLDER}/CAttached_1_mini.mat"]
    failed, fetched = run(server, tmp_path)
    assert failed.status == "failed"
    assert "FileNotFoundError: The server has no file" in failed.error
    assert "Traceback" in failed.details
    assert fetched.status == "fetched"


@pytest.mark.parametrize(
    ("content", "message"), [(b"y" * 5000, "Expected content with git hash"), (b"y", "Expected 5000 bytes")]
)
def test_other_content_than_listed_is_refused_and_removed(server, tmp_path, content, message):
    path = f"{FOLDER}/CAttached_1_mini.mat"
    server.resources[RAW + path].body = content
    failed, _ = run(server, tmp_path)
    assert message in failed.error
    assert not (tmp_path / path.removeprefix("Ground_truth/")).exists()


def test_listing_that_was_cut_short_is_refused(server, tmp_path):
    publish(server, [], truncated=True)
    with pytest.raises(ValueError, match="the service cut it short"):
        run(server, tmp_path)


def test_data_set_that_is_not_at_the_source_is_refused(server, tmp_path):
    with pytest.raises(LookupError, match=r"Expected files of DS30 at https://github\.com/HelmchenLabSoftware/Cascade"):
        run(server, tmp_path, ["DS30"])


def test_too_much_is_refused_before_it_begins(server, tmp_path):
    with pytest.raises(ValueError, match=r"Expected at most 1e-06 GB, DS05 has 0\.0 GB in 2 files"):
        run(server, tmp_path, max_gigabytes=1e-6)
    assert len(server.requests) == 1


def test_dandiset_is_listed_page_by_page(server, tmp_path):
    base = "/api/dandisets/000048/versions/draft/assets/"
    other = {"asset_id": "b", "path": "sub-1/x.txt", "size": 3}
    pages = [
        {"results": [{"asset_id": "a", "path": "sub-1/x.nwb", "size": 3}], "next": f"{server.url}/page2"},
        {"results": [other, {"asset_id": "c", "path": "y.nwb", "size": 3}], "next": None},
    ]
    server.resources[f"{base}?page_size=1000"] = Resource(json.dumps(pages[0]).encode())
    server.resources["/page2"] = Resource(json.dumps(pages[1]).encode())
    for asset in "ac":
        server.resources[f"{base}{asset}/download/"] = Resource(b"abc")
    results = run(server, tmp_path, ["DANDI000048"])
    assert [(result.path, result.status) for result in results] == [
        ("000048/sub-1/x.nwb", "fetched"),
        ("000048/y.nwb", "fetched"),
    ]


def test_tables_of_an_archive_are_unpacked_flat(server, tmp_path):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("train/1.train.calcium.csv", "0\n0.5\n")
        opened.writestr("../../1.train.spikes.csv", "0\n1\n")
        opened.writestr("train/readme.md", "text")
    served = {
        "https://s3.amazonaws.com/neuro.datasets/challenges/spikefinder/spikefinder.train.zip": archive.getvalue()
    }

    def local_download(url, path):
        path.write_bytes(served[url])
        return hashlib.sha256(served[url]).hexdigest()

    (result,) = run(server, tmp_path / "in", ["SPIKEFINDER"], download=local_download)
    assert result.status == "fetched"
    names = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert names == ["1.train.calcium.csv", "1.train.spikes.csv", LEDGER, "spikefinder.train.zip"]
    assert (tmp_path / "in" / "spikefinder" / "1.train.spikes.csv").read_text() == "0\n1\n"


def test_damaged_ledger_counts_as_empty(server, tmp_path):
    (tmp_path / LEDGER).write_text("{")
    assert [result.status for result in run(server, tmp_path)] == ["fetched", "fetched"]


def test_unknown_data_set_is_refused(server, tmp_path):
    with pytest.raises(LookupError, match="received 'DS99'"):
        run(server, tmp_path, ["DS99"])
