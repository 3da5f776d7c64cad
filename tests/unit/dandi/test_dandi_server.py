"""The DANDI test server against the real client, and each of its faults."""

import hashlib
import json
from urllib.parse import urlsplit

import pytest
import requests
from dandi.dandiapi import DandiAPIClient
from dandi.download import DownloadFormat, download

from tests.support.dandi_content import Archive, Blob, dandi_etag
from tests.support.dandi_faults import API_FAULTS, Fault, Faults
from tests.support.dandi_server import TOKEN, DandiServer


@pytest.fixture
def client(server):
    with DandiAPIClient(server.api_url) as client:
        yield client


def blob_url(client, path="sub-1/sub-1_ophys.nwb"):
    asset = client.get_dandiset("000001").get_asset_by_path(path)
    return asset.get_raw_metadata()["contentUrl"][1]


def test_the_newest_published_version_is_the_default_and_lacks_what_only_the_draft_has(client):
    dandiset = client.get_dandiset("000001", lazy=False)
    assert dandiset.version_id == "0.240101.0001"
    assert "sub-9/sub-9_ophys.nwb" not in {asset.path for asset in dandiset.get_assets()}
    assert "sub-9/sub-9_ophys.nwb" in {a.path for a in dandiset.for_version("draft").get_assets()}


def test_listings_are_paged_so_that_the_client_fetches_pages_in_parallel(archive, server, client):
    for n in range(7):
        archive.dandisets["000001"].add(f"many/{n}.nwb", b"x%d" % n)
    client.page_size = 3
    dandiset = client.get_dandiset("000001", "draft")
    paths = [asset.path for asset in dandiset.get_assets()]
    assert paths == list(archive.dandisets["000001"].versions["draft"])
    pages = server.served(r"/assets/\?")
    assert sorted(s.target.partition("page=")[2] for s in pages) == ["", "2", "3", "4"]
    assert [a.path for a in dandiset.get_assets_by_glob("MANY/*")] == [f"many/{n}.nwb" for n in range(7)]


def test_the_client_downloads_a_blob_and_verifies_its_digest(server, tmp_path, client):
    url = f"{server.api_url}/dandisets/000001/versions/draft/assets/?path=sub-1/"
    download(url, tmp_path, format=DownloadFormat.DEBUG)
    content = (tmp_path / "sub-1" / "sub-1_ophys.nwb").read_bytes()
    assert content == b"content of 1" * 20
    metadata = client.get_dandiset("000001").get_asset_by_path("sub-1/sub-1_ophys.nwb").get_raw_metadata()
    assert metadata["digest"]["dandi:sha2-256"] == hashlib.sha256(content).hexdigest()
    assert metadata["digest"]["dandi:dandi-etag"] == dandi_etag(content)


def test_the_client_downloads_a_zarr_and_verifies_its_checksum(archive, server, tmp_path):
    tree = tmp_path / "tree"
    for key in [".zgroup", "a/.zarray", "a/0.0", "a/0.1"]:
        (tree / key).parent.mkdir(parents=True, exist_ok=True)
        (tree / key).write_bytes(key.encode() * 5)
    archive.dandisets["000001"].add("sub-z/z.nwb.zarr", tree)
    url = f"{server.api_url}/dandisets/000001/versions/draft/assets/?path=sub-z/"
    download(url, tmp_path, format=DownloadFormat.DEBUG)
    copied = tmp_path / "sub-z" / "z.nwb.zarr"
    assert {p.relative_to(copied).as_posix(): p.read_bytes() for p in copied.rglob("*") if p.is_file()} == {
        key: key.encode() * 5 for key in [".zgroup", "a/.zarray", "a/0.0", "a/0.1"]
    }


def test_zarr_listings_continue_after_the_last_key(archive, server, tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for n in range(5):
        (tree / f"{n}").write_bytes(b"x")
    asset = archive.dandisets["000001"].add("z.nwb.zarr", tree)
    url = f"{server.api_url}/zarr/{asset.stored.zarr_id}/files"
    keys = []
    while url:
        page = requests.get(url, params={"limit": 2}).json()
        keys += [entry["Key"] for entry in page["results"]]
        url = page["next"]
    assert keys == ["0", "1", "2", "3", "4"]


def test_an_embargoed_dandiset_needs_the_token(server):
    with DandiAPIClient(server.api_url) as stranger:
        with pytest.raises(requests.HTTPError, match="Error 401"):
            stranger.get_dandiset("000002", lazy=False)
        assert [d.identifier for d in stranger.get_dandisets(embargoed=True)] == ["000001"]
    with pytest.raises(requests.HTTPError, match="Invalid token"):
        DandiAPIClient(server.api_url, token="wrong")
    with DandiAPIClient(server.api_url, token=TOKEN) as owner:
        asset = owner.get_dandiset("000002").get_asset_by_path("sub-s/sub-s_ophys.nwb")
        assert b"".join(asset.get_download_file_iter()(0)) == b"secret content"
        bare = asset.get_raw_metadata()["contentUrl"][1]
        assert requests.get(bare).status_code == 403


def test_blobs_are_served_whole_and_in_ranges(client):
    url, content = blob_url(client), b"content of 1" * 20
    etag = f'"{dandi_etag(content)}"'
    head = requests.head(url)
    assert (head.status_code, head.headers["Content-Length"], head.headers["ETag"]) == (200, "240", etag)
    for header, part in {
        "bytes=5-9": slice(5, 10),
        "bytes=230-999": slice(230, None),
        "bytes=-7": slice(-7, None),
    }.items():
        answer = requests.get(url, headers={"Range": header})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (206, content[part], etag)
        assert answer.headers["Content-Range"].endswith("/240")
    assert requests.get(url, headers={"Range": "bytes=240-"}).status_code == 416


def test_signed_links_stop_working_when_they_expire(server, client):
    asset = client.get_dandiset("000001").get_asset_by_path("sub-1/sub-1_ophys.nwb")
    link = requests.get(asset.base_download_url, allow_redirects=False).headers["Location"]
    assert requests.get(link).status_code == 200
    server.expire_links()
    assert requests.get(link).status_code == 403


@pytest.mark.parametrize("fault, status", [(Fault.RATE_LIMIT, 429), (Fault.UNAVAILABLE, 503), (Fault.EXPIRED, 403)])
def test_faults_that_are_a_status(server, client, fault, status):
    url = blob_url(client)
    server.faults.script(fault, "blobs")
    assert [requests.get(url).status_code for _ in range(2)] == [status, 200]


def test_a_reset_sends_nothing(server, client):
    url = blob_url(client)
    server.faults.script(Fault.RESET, "blobs")
    with pytest.raises(requests.ConnectionError):
        requests.get(url)


def test_a_drop_breaks_off_in_the_middle_of_the_body(server, client):
    url = blob_url(client)
    server.faults.script(Fault.DROP, "blobs")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        requests.get(url)
    assert server.served("blobs")[-1].n_bytes == 120


def test_a_truncated_body_looks_complete(server, client):
    url = blob_url(client)
    server.faults.script(Fault.TRUNCATE, "blobs")
    answer = requests.get(url, headers={"Range": "bytes=0-99"})
    assert (len(answer.content), answer.headers["Content-Range"]) == (50, "bytes 0-99/240")


def test_a_stall_is_silence(server, client):
    url = blob_url(client)
    server.faults.script(Fault.STALL, "blobs")
    with pytest.raises(requests.ConnectionError, match="timed out"):
        requests.get(url, timeout=0.1)


def test_a_changed_etag_differs_from_the_one_recorded(server, client):
    url = blob_url(client)
    server.faults.script(Fault.ETAG, "blobs")
    assert len({requests.get(url).headers["ETag"] for _ in range(3)}) == 2


def test_faults_by_chance_depend_on_the_seed_and_the_path_not_on_the_order_of_calls():
    def outcomes(seed, paths):
        faults = Faults(0.3, seed=seed)
        chosen = {path: [] for path in paths}
        for _ in range(100):
            for path in paths:
                chosen[path].append(faults.choose(path, is_storage=path.startswith("/blobs")))
        return chosen

    there, back = outcomes(1, ["/blobs/a", "/api/b"]), outcomes(1, ["/api/b", "/blobs/a"])
    assert there == back != outcomes(2, ["/blobs/a", "/api/b"])
    assert 15 < sum(fault is not None for fault in there["/blobs/a"]) < 45
    assert {fault for fault in there["/api/b"] if fault} <= API_FAULTS
    assert Fault.ETAG not in there["/blobs/a"]


def test_requests_and_bytes_are_counted(server, client):
    url = blob_url(client)
    server.reset()
    requests.get(url, headers={"Range": "bytes=0-99"})
    requests.head(url)
    assert (server.count(), server.count("blobs"), server.n_bytes("blobs")) == (2, 2, 100)
    assert [s.method for s in server.served(urlsplit(url).path)] == ["GET", "HEAD"]
    assert not any(served.has_authorization for served in server.served())


def test_a_dandiset_record_has_every_field_that_the_archive_sends(archive):
    brief = archive.dandisets["000001"].brief()
    assert json.loads(json.dumps(brief)) == brief
    assert brief["most_recent_published_version"]["version"] == "0.240101.0001"
    assert archive.dandisets["000002"].brief()["embargo_status"] == "EMBARGOED"


def test_content_can_change_behind_the_id_of_a_blob():
    archive = Archive()
    asset = archive.add("000003").add("a.nwb", b"old")
    archive.overwrite(asset, b"newer")
    found = archive.dandisets["000003"].versions["draft"]["a.nwb"]
    assert isinstance(found.stored, Blob)
    assert (found.stored.blob_id, found.stored.content) == (asset.stored.blob_id, b"newer")
    assert found.stored.etag != asset.stored.etag


def test_the_server_ends_at_once_while_a_request_is_stalled(archive):
    with DandiServer(archive) as server, DandiAPIClient(server.api_url) as client:
        url = blob_url(client)
        server.faults.script(Fault.STALL, "blobs")
        with pytest.raises(requests.ConnectionError, match="timed out"):
            requests.get(url, timeout=0.05)
    assert server.closing.is_set()


def test_what_was_replaced_is_read_by_its_id_and_a_zarr_changed_in_place_is_as_it_is_now(archive, server, tmp_path):
    dandiset, path, tree = archive.dandisets["000001"], "sub-0/sub-0_ophys.nwb", tmp_path / "tree"
    before = dandiset.versions["draft"][path].asset_id
    dandiset.add(path, b"other content")
    assert requests.get(f"{server.api_url}/assets/{before}/download/").content == b"content of 0" * 20
    tree.mkdir()
    checksums = []
    for content in ("one", "two"):
        (tree / ".zgroup").write_text(content)
        stored = dandiset.add("sub-0/z.nwb.zarr", tree)
        record = requests.get(f"{server.api_url}/assets/{stored.asset_id}/").json()
        checksums.append(record["digest"]["dandi:dandi-zarr-checksum"])
    assert checksums[0] != checksums[1] == stored.stored.checksum


def test_the_files_of_a_zarr_stand_behind_a_slash_and_those_of_an_embargoed_one_are_refused(archive, server, tmp_path):
    (tmp_path / ".zgroup").write_text("{}")
    stored = archive.dandisets["000002"].add("z.nwb.zarr", tmp_path).stored
    url = f"{server.api_url}/zarr/{stored.zarr_id}/files"
    elsewhere = requests.get(url, params={"prefix": "a"}, allow_redirects=False)
    assert (elsewhere.status_code, elsewhere.headers["Location"]) == (301, f"{url}/?prefix=a")
    refused = requests.get(f"{url}/")
    assert (refused.status_code, refused.json()) == (403, "You do not have permission to perform this action.")
