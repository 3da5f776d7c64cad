"""The command ``nwb-cascade models``: what it prints, and its exit status."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from nwb_cascade.cli import main
from nwb_cascade.models import library
from tests.support.cascade_files import CascadeSpec, write_cascade_folder, zip_folder
from tests.support.http_server import Resource, local_server

NAME = CascadeSpec().name


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A folder in Cascade's format, with nothing installed yet."""
    monkeypatch.setenv("NWB_CASCADE_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(library, "BUNDLED_FOLDER", tmp_path / "bundled")
    write_cascade_folder(tmp_path / "source", CascadeSpec())
    return tmp_path / "source"


@pytest.fixture
def installed(source):
    run("import", source)
    return source.parent / "models" / NAME


@pytest.fixture
def server(source):
    with local_server() as running:
        archive = zip_folder(source, source.parent / "a.zip")
        running.resources["/a.zip"] = Resource(archive.read_bytes())
        running.resources["/r.yaml"] = Resource(f"{NAME}:\n  Link: {running.url}/a.zip\n  Info:\n".encode())
        yield running


def run(*arguments, status=0, **options):
    result = CliRunner().invoke(main, ["models", *map(str, arguments)], **options)
    assert result.exit_code == status, result.output
    return result


@pytest.mark.parametrize("as_zip", [False, True])
def test_import_installs_and_says_where(source, as_zip):
    path = zip_folder(source, source.parent / "a b.zip") if as_zip else source
    result = run("import", path)
    folder = source.parent / "models" / NAME
    assert result.stdout.startswith(f"{NAME} is installed in {folder} (sha256 ")
    assert result.stderr == ""
    assert folder.is_dir()


def test_import_under_another_name(source):
    run("import", source, "--name", "mine")
    assert json.loads(run("list", "--json").stdout)[0]["name"] == "mine"


def test_import_notes_what_the_user_should_know(source):
    path = source / "config.yaml"
    text = (
        path.read_text()
        .replace("smoothing: 0.05", "smoothing: 0.2")
        .replace("- 3\nplaceholder", "- 3\n- 4\nplaceholder")
    )
    path.write_text(text.replace("ensemble_size: 2", "ensemble_size: 5"))
    notes = run("import", source).stderr
    assert "Note: The name says smoothing 0.05 s, the configuration 0.2 s. The configuration is used." in notes
    assert "Note: 2 networks per noise level, its configuration says 5." in notes
    assert "Note: no networks for the noise levels 4 that its configuration lists." in notes


def test_another_model_of_that_name_needs_overwrite(installed, source):
    write_cascade_folder(source, CascadeSpec(), seed=9)
    assert "Error: Another model named" in run("import", source, status=1).stderr
    run("import", source, "--overwrite")


def test_a_bad_model_is_one_line_and_status_1(source):
    (source / "config.yaml").unlink()
    result = run("import", source, status=1)
    assert result.stderr.startswith("Error: Expected the folder of one Cascade model")
    assert result.stderr.count("\n") == 1


def test_a_path_that_is_not_there_is_wrong_usage(source):
    assert "does not exist" in run("import", source / "nothing", status=2).stderr


def test_list_is_tab_separated_away_from_a_terminal(installed):
    lines = run("list").stdout.splitlines()
    assert lines[0].split("\t")[:2] == ["Name", "Rate (Hz)"]
    assert lines[1].split("\t") == [NAME, "30", "50 ms", "2, 3", "2 per level", "GCaMP6f, GCaMP6s", "user"]


def test_list_is_a_table_on_a_terminal(installed, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    output = run("list").stdout
    assert NAME in output
    assert "┃" in output
    assert "\t" not in output


def test_list_of_nothing_names_the_folder(source):
    assert run("list").stdout == f"No models are installed in {source.parent / 'models'}.\n"
    assert json.loads(run("list", "--json").stdout) == []


def test_list_as_json(installed):
    (entry,) = json.loads(run("list", "--json").stdout)
    assert entry["model_rates_hz"] == [30.0, 30.0]
    assert entry["path"] == str(installed)
    assert (entry["origin"], entry["problem"]) == ("user", "")
    assert "extra" not in entry


def test_a_damaged_model_stays_in_the_list(installed):
    (installed / "config.json").unlink()
    assert "damaged: Expected a model bundle" in run("list").stdout
    assert "config.json" in json.loads(run("list", "--json").stdout)[0]["problem"]


def test_show_prints_every_fact(installed):
    output = run("show", NAME).stdout
    for fact in (NAME, "30 Hz", "50 ms", "2, 3", "16 frames, 8 before and 7 after", "GPL-3.0", "Rupprecht", "sha256"):
        assert fact in output


def test_show_as_json_has_the_whole_configuration(installed):
    facts = json.loads(run("show", installed, "--json").stdout)
    assert facts["network"]["dense_width"] == 2
    assert facts["extra"]["published_config"]["windowsize"] == 16
    assert len(facts["sha256"]) == 64


def test_show_of_an_unknown_name_brings_the_nearest(installed):
    assert f"Nearest names: {NAME}." in run("show", NAME.lower(), status=1).stderr


def test_verify_checks_all_by_default(installed, source):
    run("import", source, "--name", "second")
    lines = run("verify").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", NAME], ["ok", "second"]]


def test_verify_goes_on_after_a_failure_and_exits_1(installed, source):
    run("import", source, "--name", "second")
    path = installed / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    lines = run("verify", status=1).stdout.splitlines()
    assert lines[0].startswith(f"FAILED  {NAME}: ")
    assert "truncated or damaged" in lines[0]
    assert lines[1].startswith("ok      second")
    assert len(run("verify", "second").stdout.splitlines()) == 1
    assert "FAILED  nothing: No model named" in run("verify", "nothing", status=1).stdout


def test_remove_asks_first(installed):
    run("remove", NAME, input="n\n", status=1)
    assert installed.exists()
    run("remove", NAME, input="y\n")
    assert not installed.exists()
    assert "No model named" in run("remove", NAME, "--yes", status=1).stderr


@pytest.mark.filterwarnings("ignore:http.* is neither encrypted nor hashed")
def test_fetch_downloads_and_installs(server, source):
    result = run("fetch", NAME, "--registry", server.url + "/r.yaml")
    assert f"{NAME} is installed in" in result.stdout
    assert (source.parent / "models" / NAME).is_dir()


@pytest.mark.filterwarnings("ignore:http.* is neither encrypted nor hashed")
def test_fetch_takes_the_registry_from_the_environment(server, monkeypatch):
    monkeypatch.setenv("NWB_CASCADE_REGISTRY", server.url + "/r.yaml")
    assert "Nearest names" in run("fetch", NAME + "x", status=1).stderr
    run("fetch", NAME)


def test_available_lists_the_registry(server):
    lines = run("available", "--registry", server.url + "/r.yaml").stdout.splitlines()
    assert lines[1].split("\t") == [NAME, "30", "50 ms"]
    (entry,) = json.loads(run("available", "--registry", server.url + "/r.yaml", "--json").stdout)
    assert entry["link"] == server.url + "/a.zip"


def test_the_module_loads_nothing_but_click():
    code = "import sys, nwb_cascade.cli.models; print([m for m in ('numpy', 'rich', 'requests') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_a_warning_is_one_line_for_people(tmp_path):
    registry = tmp_path / "r.yaml"
    registry.write_text(f"{NAME}:\n  Link: http://127.0.0.1:9/a.zip\n  Info: none\n")
    code = (
        "import sys; from nwb_cascade.files import download; download.ATTEMPTS = 1; "
        "from nwb_cascade.cli import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, "models", "fetch", NAME, "--registry", str(registry)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120).stderr.splitlines()
    assert told[0] == (
        "Warning: http://127.0.0.1:9/a.zip is neither encrypted nor hashed by the registry: "
        "whoever is on the way can change it."
    )
    assert told[1].startswith("Error: http://127.0.0.1:9/a.zip was not received in full")
    assert len(told) == 2
