"""Addresses in all their forms; none of these tests leaves the machine."""

import pytest
import requests
from dandi.dandiarchive import AssetFolderURL, AssetGlobURL, AssetIDURL, AssetItemURL, BaseAssetIDURL, DandisetURL

from nwb_cascade.dandi.address_forms import is_remote
from nwb_cascade.dandi.urls import FileURL, find_instance, parse_address
from nwb_cascade.errors import InputError, RemoteError

ASSET = "00000000-0000-0000-0000-000000000001"


@pytest.fixture
def host(server):
    return server.url.removeprefix("http://")


@pytest.fixture
def offline(monkeypatch):
    """dandi falls back to the addresses that it knows when an instance does not answer."""

    def refuse(*args, **kwargs):
        raise requests.ConnectionError("no network in tests")

    monkeypatch.setattr("dandi.utils.requests.get", refuse)


@pytest.mark.parametrize(
    "tail, kind, version, path",
    [
        ("000001", DandisetURL, None, None),
        ("000001@draft", DandisetURL, "draft", None),
        ("000001@0.240101.0001/sub-1/", AssetFolderURL, "0.240101.0001", "sub-1/"),
        ("000001/sub-*/*.nwb", AssetGlobURL, None, "sub-*/*.nwb"),
        ("000001@draft/sub-1/sub-1_ophys.nwb", AssetItemURL, "draft", "sub-1/sub-1_ophys.nwb"),
    ],
)
def test_a_dandi_address_on_a_server_without_a_name(server, host, tail, kind, version, path):
    for text, instance in [(f"dandi://{host}/{tail}", None), (tail, server.api_url), (tail, host)]:
        parsed = parse_address(text, instance=instance)
        assert type(parsed) is kind
        assert (parsed.dandiset_id, parsed.version_id, getattr(parsed, "path", None)) == ("000001", version, path)
        assert parsed.instance.api == server.api_url


def test_the_default_instance_comes_from_the_environment(server, monkeypatch):
    monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
    assert parse_address("000001").instance.api == server.api_url


@pytest.mark.parametrize(
    "path, kind",
    [
        ("dandiset/000001/draft", DandisetURL),
        ("#/dandiset/000001/draft/files?location=sub-1%2F", AssetFolderURL),
        ("api/dandisets/000001/versions/draft/", DandisetURL),
        ("api/dandisets/000001/versions/draft/assets/?glob=sub-*", AssetGlobURL),
        (f"api/dandisets/000001/versions/draft/assets/{ASSET}/", AssetIDURL),
        (f"api/assets/{ASSET}/download/", BaseAssetIDURL),
    ],
)
def test_web_pages_and_api_urls_of_any_server(server, path, kind):
    parsed = parse_address(f"{server.url}/{path}")
    assert type(parsed) is kind
    assert parsed.instance.api == server.api_url


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    "text, instance, kind",
    [
        ("dandi://dandi/000402@0.230307.2132/sub-1/a.nwb", "dandi", AssetItemURL),
        ("dandi://DANDI-sandbox/000402/sub-*.nwb", "dandi-sandbox", AssetGlobURL),
        ("https://dandiarchive.org/dandiset/000402/draft", "dandi", DandisetURL),
        (f"https://api.dandiarchive.org/api/assets/{ASSET}/download/", "dandi", BaseAssetIDURL),
        ("DANDI:000402/0.230307.2132", "dandi", DandisetURL),
        ("000402", "dandi", DandisetURL),
    ],
)
def test_instances_that_dandi_knows_by_name(text, instance, kind):
    parsed = parse_address(text)
    assert type(parsed) is kind
    assert (parsed.instance.name, parsed.dandiset_id) == (instance, None if kind is BaseAssetIDURL else "000402")


@pytest.mark.parametrize(
    "url, path",
    [
        ("https://dandiarchive.s3.amazonaws.com/blobs/2d3/3d6/2d33d6e3", "blobs/2d3/3d6/2d33d6e3"),
        ("http://127.0.0.1:9/some%20file.nwb?versionId=3", "some file.nwb"),
    ],
)
def test_any_other_url_is_that_of_a_file(url, path):
    assert parse_address(url) == FileURL(url)
    assert FileURL(url).path == path


@pytest.mark.parametrize(
    "text", ["", "recordings/a.nwb", "https://dandiarchive.org", "s3://bucket/a.nwb", "00402", "x:1"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InputError, match=r"Expected an address such as dandi://dandi/000402@.*, received"):
        parse_address(text)


def test_an_unknown_instance_is_named_with_those_that_are_known():
    with pytest.raises(InputError, match=r"Unknown DANDI instance 'dandee': expected one of dandi, .*HOST:PORT"):
        parse_address("dandi://dandee/000001")


def test_a_version_that_cannot_be_one_is_refused(host):
    with pytest.raises(InputError, match=r"Expected a version such as 0.230307.2132 or draft after the @"):
        parse_address(f"dandi://{host}/000001@newest")


def test_a_server_that_does_not_answer_is_named():
    with pytest.raises(RemoteError, match=r"http://127.0.0.1:9/api does not answer as a DANDI archive"):
        parse_address("dandi://127.0.0.1:9/000001")
    with pytest.raises(RemoteError, match="does not answer as a DANDI archive"):
        parse_address("http://127.0.0.1:9/dandiset/000001/draft")


def test_a_server_that_is_no_dandi_archive_is_named(server):
    server.routes.patterns.clear()
    with pytest.raises(RemoteError, match="does not answer as a DANDI archive"):
        find_instance(server.api_url)


@pytest.mark.parametrize(
    "source, remote",
    [
        ("dandi://dandi/000402", True),
        ("https://example.org/a.nwb", True),
        ("DANDI:000402", True),
        ("000402", True),
        ("000402@draft/sub-*", True),
        ("recordings/000402/a.nwb", False),
        ("C:000402.nwb", False),
        ("a.nwb", False),
    ],
)
def test_addresses_are_told_from_paths(source, remote):
    assert is_remote(source) is remote


def test_a_folder_that_is_here_comes_before_a_dandiset_of_that_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "000402").mkdir()
    assert not is_remote("000402")
