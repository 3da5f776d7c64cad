"""From addresses to assets, against the test server."""

import logging
import pickle
from types import SimpleNamespace

import pytest
import requests
from dandi.consts import DandiInstance

from nwb_cascade.dandi import assets as module
from nwb_cascade.dandi.assets import find_asset, list_assets, reading, with_record
from nwb_cascade.dandi.client import connect, token_for
from nwb_cascade.dandi.urls import find_instance
from nwb_cascade.errors import RemoteError
from tests.support.dandi_content import dandi_etag
from tests.support.dandi_faults import Fault
from tests.support.dandi_server import TOKEN

PATH = "sub-1/sub-1_ophys.nwb"


@pytest.fixture
def address(server):
    return "dandi://" + server.url.removeprefix("http://")


def paths(sources):
    return [asset.path for asset in list_assets(sources)]


def test_of_a_dandiset_the_nwb_files_of_the_newest_published_version_are_listed(address):
    listed = list(list_assets(f"{address}/000001"))
    assert [asset.path for asset in listed] == [f"sub-{n}/sub-{n}_ophys.nwb" for n in range(3)]
    assert {(asset.dandiset, asset.version) for asset in listed} == {("000001", "0.240101.0001")}


def test_versions_folders_globs_and_several_sources(address, server):
    assert paths(f"{address}/000001@draft")[-1] == "sub-9/sub-9_ophys.nwb"
    assert paths(f"{address}/000001/sub-2/") == paths(f"{address}/000001/sub-2") == ["sub-2/sub-2_ophys.nwb"]
    assert paths(f"{address}/000001/*-2*") == ["sub-2/sub-2_ophys.nwb"]
    both = [f"{address}/000001/sub-0/", f"{server.url}/dandiset/000001/draft/files?location=sub-9"]
    assert paths(both) == ["sub-0/sub-0_ophys.nwb", "sub-9/sub-9_ophys.nwb"]


def test_a_file_named_itself_is_taken_whatever_it_is_called(address):
    assert find_asset(f"{address}/000001/sub-0/readme.txt").size == len("not a recording")


def test_one_asset_has_all_that_provenance_needs(address, archive, server):
    stored = archive.dandisets["000001"].versions["draft"][PATH]
    asset = find_asset(f"{address}/000001/{PATH}")
    assert asset.content_id == stored.stored.blob_id
    assert asset.digest == dandi_etag(b"content of 1" * 20)
    assert len(asset.sha256) == 64
    assert (asset.asset_id, asset.size, asset.kind) == (stored.asset_id, 240, "blob")
    assert asset.storage_url == f"{server.url}/{stored.stored.key}"
    assert asset.download_url == f"{server.api_url}/assets/{stored.asset_id}/download/"
    assert asset.address == f"{address}/000001@0.240101.0001/{PATH}"
    assert find_asset(asset.address) == asset


def test_the_same_asset_is_found_by_its_api_urls(server, archive, address):
    asset_id = archive.dandisets["000001"].versions["draft"][PATH].asset_id
    within = find_asset(f"{server.api_url}/dandisets/000001/versions/draft/assets/{asset_id}/")
    alone = find_asset(f"{server.api_url}/assets/{asset_id}/download/")
    known = find_asset(f"{address}/000001@draft/{PATH}")
    assert within == known
    assert (alone.dandiset, alone.digest, alone.content_id) == ("", known.digest, known.content_id)
    assert find_asset(alone.address).asset_id == asset_id


def test_a_plain_url_is_an_asset_without_a_dandiset_and_shows_no_secret_of_a_signed_link():
    asset = find_asset("http://127.0.0.1:9/blobs/abc.nwb?X-Amz-Signature=secret")
    assert (asset.address, asset.dandiset, asset.path) == ("http://127.0.0.1:9/blobs/abc.nwb", "", "blobs/abc.nwb")
    assert asset.storage_url.endswith("?X-Amz-Signature=secret")


def test_listing_asks_for_no_records_and_a_record_is_asked_for_once(address, server):
    listed = list(list_assets(f"{address}/000001@draft"))
    assert not any(asset.digest for asset in listed)
    server.reset()
    complete = with_record(listed[0])
    assert with_record(complete) == complete
    assert complete.digest
    assert server.count("/assets/") == 1


def test_long_listings_take_few_requests_and_are_lazy(address, archive, server, monkeypatch):
    monkeypatch.setattr("nwb_cascade.dandi.client.PAGE_SIZE", 4)
    for n in range(20):
        archive.dandisets["000001"].add(f"many/{n:02}.nwb", b"%d" % n)
    assert paths(f"{address}/000001@draft/many/") == [f"many/{n:02}.nwb" for n in range(20)]
    assert server.count("assets/") == 5


def test_a_zarr_asset(address, archive, tmp_path):
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / ".zgroup").write_bytes(b"{}")
    stored = archive.dandisets["000001"].add("sub-z/z.nwb.zarr", tmp_path / "z")
    asset = find_asset(f"{address}/000001@draft/sub-z/z.nwb.zarr")
    assert (asset.kind, asset.content_id, asset.digest) == ("zarr", stored.stored.zarr_id, stored.stored.checksum)
    assert asset.storage_url.endswith(f"/zarr/{asset.content_id}/")


def test_assets_can_be_pickled_and_hold_no_token(address, server, monkeypatch):
    monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
    monkeypatch.setenv("DANDI_API_KEY", TOKEN)
    asset = find_asset(f"{address}/000002/sub-s/sub-s_ophys.nwb")
    again = pickle.loads(pickle.dumps(asset))
    assert again == asset
    assert TOKEN.encode() not in pickle.dumps(asset)
    assert TOKEN not in repr(asset)


@pytest.mark.parametrize(
    "tail, sentence",
    [
        ("000777", "There is no dandiset 000777 on 127.0.0.1:[0-9]+; check its number"),
        ("000777@draft/a.nwb", "There is no dandiset 000777"),
        ("000001@0.1.1/" + PATH, "Dandiset 000001 on .* has no version 0.1.1; it has 0.240101.0001, draft"),
        ("000001@0.1.1", "Dandiset 000001 on .* has no version 0.1.1"),
        ("000001/sub-1/nope.nwb", "Dandiset 000001@0.240101.0001 on .* has no asset sub-1/nope.nwb"),
        ("000001/sub-7/", "000001/sub-7/ holds no NWB file"),
        ("000001/*.zarr", r"000001/\*.zarr holds no NWB file"),
    ],
)
def test_what_does_not_exist_is_named(address, tail, sentence):
    with pytest.raises(LookupError, match=sentence):
        list(list_assets(f"{address}/{tail}"))


def test_an_unknown_asset_id_is_named(server):
    unknown = "00000000-0000-0000-0000-000000000009"
    with pytest.raises(LookupError, match=f"There is no asset .*{unknown}"):
        find_asset(f"{server.api_url}/assets/{unknown}/")
    with pytest.raises(LookupError, match=f"Dandiset 000001@draft on .* has no asset {unknown}"):
        find_asset(f"{server.api_url}/dandisets/000001/versions/draft/assets/{unknown}/")


def test_one_asset_is_not_several(address):
    with pytest.raises(
        LookupError, match=r"Expected the address of one file; .* holds sub-0/.*, sub-1/.* and maybe more"
    ):
        find_asset(f"{address}/000001")


def test_an_asset_that_was_deleted_meanwhile_is_named(address, archive):
    (asset,) = list_assets(f"{address}/000001@draft/sub-9/")
    del archive.dandisets["000001"].versions["draft"][asset.path]
    with pytest.raises(LookupError, match=f"has no asset {asset.path}"):
        with_record(asset)


def test_an_embargoed_dandiset_needs_a_token(address):
    with pytest.raises(PermissionError, match="is embargoed: set the environment variable DANDI_API_KEY"):
        list(list_assets(f"{address}/000002"))


def test_a_wrong_token_is_not_repeated_in_the_message(address, server, monkeypatch):
    monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
    monkeypatch.setenv("DANDI_API_KEY", "wrong-token")
    with pytest.raises(PermissionError, match="refuses the API key in DANDI_API_KEY") as caught:
        list(list_assets(f"{address}/000002"))
    chain = [caught.value, caught.value.__cause__]
    assert not any("wrong-token" in text for error in chain for text in (str(error), repr(error)))


def test_the_token_is_in_no_log_record(address, server, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
    monkeypatch.setenv("DANDI_API_KEY", TOKEN)
    assert paths(f"{address}/000002") == ["sub-s/sub-s_ophys.nwb"]
    with pytest.raises(LookupError):
        find_asset(f"{address}/000002/nope.nwb")
    assert caplog.records
    assert not any(TOKEN in record.getMessage() or TOKEN in repr(record.__dict__) for record in caplog.records)


def test_a_token_goes_only_to_the_instance_that_it_belongs_to(monkeypatch):
    def instance(name, api):
        return module.DandiInstance(name, None, api)

    monkeypatch.setenv("DANDI_API_KEY", "of dandi")
    monkeypatch.setenv("DANDI_SANDBOX_API_KEY", "of the sandbox")
    elsewhere = instance("archive.example.org", "https://archive.example.org/api")
    assert token_for(instance("dandi", "https://api.dandiarchive.org/api")) == "of dandi"
    assert token_for(instance("dandi-sandbox", "https://api.sandbox.dandiarchive.org/api")) == "of the sandbox"
    assert token_for(instance("127.0.0.1:80", "http://127.0.0.1:80/api")) is None
    assert token_for(instance("dandi", "http://api.dandiarchive.org/api")) is None
    assert token_for(elsewhere) is None
    assert token_for(instance("dandi", "https://archive.example.org/api")) is None
    monkeypatch.setenv("DANDI_INSTANCE", "https://archive.example.org/api/")
    assert token_for(elsewhere) == "of dandi"
    monkeypatch.setenv("DANDI_INSTANCE", "http://127.0.0.1:80/api")
    assert token_for(instance("127.0.0.1:80", "http://127.0.0.1:80/api")) == "of dandi"
    assert token_for(instance("127.0.0.1:81", "http://127.0.0.1:81/api")) is None


def test_without_a_token_no_authorization_is_sent(address, server):
    paths(f"{address}/000001")
    assert not any(served.has_authorization for served in server.served())


def test_a_request_that_stays_unanswered_is_tried_again(server, monkeypatch):
    monkeypatch.setattr("nwb_cascade.dandi.client.READ_TIMEOUT_S", 1.0)
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    instance = find_instance(server.api_url)
    server.reset()
    server.faults.script(Fault.STALL, "dandisets")
    with connect(instance) as client:
        assert client.get_dandiset("000001", lazy=False).identifier == "000001"
    assert server.count("dandisets") == 2


def test_a_server_that_keeps_failing_is_named(address, server, monkeypatch):
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    server.faults.script(Fault.UNAVAILABLE, "dandisets", times=99)
    with pytest.raises(RemoteError, match=r"127.0.0.1:\d+ answers 503 for dandi://.*: try again later"):
        paths(f"{address}/000001")


def test_a_server_that_no_connection_reaches_is_given_up_after_a_few_attempts(monkeypatch):
    waited = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=waited.append))
    said = r"127\.0\.0\.1:9 does not answer in 6 attempts: .*Connection refused\. Try again later\."
    with (
        pytest.raises(RemoteError, match=said),
        reading(DandiInstance("127.0.0.1:9", None, "http://127.0.0.1:9/api"), "dandi://127.0.0.1:9/000001") as client,
    ):
        client.get("/dandisets/")
    assert len(waited) == 5
    assert sum(waited) < 12


def test_answers_in_between_begin_the_count_of_failed_connections_anew(address, server, monkeypatch):
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda seconds: None))
    with connect(find_instance(server.api_url)) as client:
        gone = "http://127.0.0.1:9/api/dandisets/"
        for _ in range(3):
            with pytest.raises(requests.ConnectionError):
                client.session.get(gone)
        client.get("/dandisets/")
        for _ in range(5):
            with pytest.raises(requests.ConnectionError):
                client.session.get(gone)
        with pytest.raises(RemoteError, match="in 6 attempts"):
            client.session.get(gone)
