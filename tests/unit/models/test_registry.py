"""Published models by name, from a local server."""

import hashlib
import zipfile

import numpy as np
import pytest

from nwb_cascade.errors import InputError, ModelFileError, NoModelError
from nwb_cascade.files.replace import workplace
from nwb_cascade.models.library import load_model
from nwb_cascade.models.registry import fetch_model, read_registry
from tests.support.cascade_files import CascadeSpec, write_cascade_folder, zip_folder
from tests.support.http_server import Resource, local_server
from tests.support.shared import shared_path
from tests.support.windowed_network import network

NAME = "Global_EXC_30Hz_smoothing50ms"
pytestmark = pytest.mark.filterwarnings("ignore:http.* is neither encrypted nor hashed")


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("NWB_CASCADE_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def networks(tmp_path):
    return write_cascade_folder(tmp_path / "source", CascadeSpec(name=NAME))


@pytest.fixture
def server(tmp_path, networks, monkeypatch):
    with local_server() as running:
        content = zip_folder(tmp_path / "source", tmp_path / "a.zip").read_bytes()
        running.resources["/download"] = Resource(content)
        running.resources["/registry.yaml"] = Resource(
            f"###\n### links\n###\n{NAME}:\n    Link: {running.url}/download\n    Info:\n"
            f"Zebrafish_1Hz_smoothing1000ms:\n    Link: {running.url}/zebrafish\n    Info: slow\n".encode(),
            content_type="text/plain",
        )
        monkeypatch.setenv("NWB_CASCADE_REGISTRY", running.url + "/registry.yaml")
        yield running


def leftovers(models):
    folder = models / ".downloads"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_model_is_fetched_and_installed_with_the_hash_of_its_archive(server, models, networks):
    model = fetch_model(NAME)
    content = server.resources["/download"].body
    assert model.config.extra["archive"] == {
        "url": server.url + "/download",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    for (level, member), arrays in networks.items():
        for key, array in arrays.items():
            np.testing.assert_array_equal(network(load_model(NAME), level, member)[key], array)
    assert leftovers(models) == []


def test_a_model_that_could_be_changed_on_its_way_is_a_warning(server, models):
    with pytest.warns(UserWarning, match=r"^http://\S+/download is neither encrypted nor hashed by"):
        fetch_model(NAME)


def test_the_registry_name_is_the_installed_name(server, models, tmp_path):
    write_cascade_folder(tmp_path / "other", CascadeSpec(name="forgotten to rename"))
    server.resources["/download"] = Resource(zip_folder(tmp_path / "other", tmp_path / "b.zip").read_bytes())
    config = fetch_model(NAME).config
    assert config.name == NAME
    assert config.extra["model_name"] == "forgotten to rename"


def test_fetching_twice_keeps_the_installed_model(server, models):
    assert fetch_model(NAME).sha256 == fetch_model(NAME).sha256
    assert len(server.requests) == 2
    assert fetch_model(NAME, overwrite=True).config.name == NAME
    assert len(server.requests) == 4
    assert [path.name for path in models.iterdir() if not path.name.startswith(".")] == [NAME]


def test_progress_counts_bytes(server, models):
    calls = []
    fetch_model(NAME, progress=lambda done, total: calls.append((done, total)))
    size = len(server.resources["/download"].body)
    assert calls[-1] == (size, size)


def test_a_damaged_model_is_fetched_again(server, models):
    path = fetch_model(NAME).path / "config.json"
    path.write_text("{")
    assert fetch_model(NAME).config.name == NAME
    load_model(NAME)


def test_a_dropped_download_is_resumed_by_the_next_call(server, models):
    server.resources["/download"].cut_after = [8192] + [0] * 4
    with pytest.raises(ConnectionError, match="8192 bytes are kept, run it again to resume"):
        fetch_model(NAME, backoff_s=0)
    assert leftovers(models) == [f"{NAME}.zip.part", f"{NAME}.zip.part.json"]
    assert fetch_model(NAME, backoff_s=0).config.name == NAME
    assert ("/download", "bytes=8192-") in server.requests
    assert leftovers(models) == []


def test_an_unknown_name_brings_the_nearest_ones(server, models):
    with pytest.raises(NoModelError, match=rf"'Global_EXC_30Hz' is among the 2 of the registry.*{NAME}"):
        fetch_model("Global_EXC_30Hz")
    assert [path for path, _ in server.requests] == ["/registry.yaml"]


def test_a_link_that_leads_nowhere_is_named(server, models):
    with pytest.raises(FileNotFoundError, match=r"no file at .*/zebrafish"):
        fetch_model("Zebrafish_1Hz_smoothing1000ms")


def test_a_web_page_instead_of_an_archive_is_recognised(server, models):
    server.resources["/download"] = Resource(b"<!DOCTYPE html>\n<title>Sign in</title>", content_type="text/html")
    with pytest.raises(ModelFileError, match=r"starts with '<!DOCTYPE html> <title>Sign in.*link may have expired"):
        fetch_model(NAME)
    assert leftovers(models) == []
    assert not (models / NAME).exists()


def test_a_truncated_archive_is_recognised_and_not_kept(server, models):
    server.resources["/download"] = Resource(server.resources["/download"].body[:-100])
    with pytest.raises(ModelFileError, match="Expected a zip archive"):
        fetch_model(NAME)
    assert leftovers(models) == []


def test_an_archive_that_points_outside_is_refused(server, models, tmp_path):
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../evil.h5", b"x")
    server.resources["/download"] = Resource(path.read_bytes())
    with pytest.raises(ModelFileError, match="points outside the archive"):
        fetch_model(NAME)
    assert not list(tmp_path.rglob("evil.h5"))


def test_a_hash_in_the_registry_is_enforced(server, models, tmp_path):
    registry = tmp_path / "registry.yaml"
    digest = hashlib.sha256(server.resources["/download"].body).hexdigest()
    registry.write_text(f"{NAME}:\n  Link: {server.url}/download\n  SHA256: {digest.upper()}\n")
    fetch_model(NAME, registry=registry)
    registry.write_text(f"{NAME}:\n  Link: {server.url}/download\n  SHA256: {'f' * 64}\n")
    with pytest.raises(ModelFileError, match=r"Expected SHA-256 f{64} of .* as the registry states"):
        fetch_model(NAME, registry=registry, overwrite=True)


def test_two_fetches_of_one_model_do_not_mix(server, models):
    archive = models / ".downloads" / f"{NAME}.zip"
    archive.parent.mkdir(parents=True)
    with workplace(archive), pytest.raises(InputError, match="Another nwb-cascade run is writing"):
        fetch_model(NAME)


def test_the_published_registries_are_read_from_a_file():
    for file in ("available_models.yaml", "available_models_CascadeTorch.yaml"):
        entries = read_registry(shared_path(f"cascade_models/{file}"))
        assert len(entries) == 155
        assert all(entry.link.startswith("https://") for entry in entries.values())
        assert all(entry.info == entry.sha256 == "" for entry in entries.values())


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "Expected the registry .* to have named entries, received NoneType"),
        ("a: [", "Expected YAML in the registry"),
        ("<html>Not found</html>", "the registry .* to have named entries, received str"),
        ("m:\n  Info: x\n", "http.* address as Link of the model 'm'.*received None"),
        ("m:\n  Link: file:///etc/passwd\n", "address as Link of the model 'm'.*received 'file:///etc/passwd'"),
        ("a: &a [1]\nm:\n  Link: *a\n", "Expected YAML in the registry .*: an entry refers to another one"),
        ("m: " + "[" * 5000, "Expected YAML in the registry"),
        ("m: " + "x" * 2**20, "the registry .* of at most 1048576 characters, received 1048579"),
        ("m: text\n", "address as Link of the model 'm'"),
        ("m:\n  Link: http://x\n  SHA256: abc\n", "64 hexadecimal digits as SHA256 of 'm'.*received 'abc'"),
    ],
)
def test_another_file_is_no_registry(tmp_path, text, message):
    path = tmp_path / "registry.yaml"
    path.write_text(text)
    with pytest.raises(ModelFileError, match=message):
        read_registry(path)


def test_a_registry_that_is_not_there_is_named(server, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file at .*/nothing.yaml"):
        read_registry(server.url + "/nothing.yaml")
    with pytest.raises(FileNotFoundError, match=r"nothing\.yaml"):
        read_registry(tmp_path / "nothing.yaml")


def test_a_name_that_is_no_folder_name_is_refused_before_the_download(server, models, tmp_path):
    registry = tmp_path / "registry.yaml"
    registry.write_text(f"../evil:\n  Link: {server.url}/download\n")
    with pytest.raises(ModelFileError, match=r"Expected a model name.*'\.\./evil'"):
        fetch_model("../evil", registry=registry)
    assert server.requests == []
