"""Fetching the Spikefinder set from a local server: unpacked, kept, resumed; what is refused."""

import io
import zipfile

import pytest
from click.testing import CliRunner

from nwb_cascade.cli import main
from nwb_cascade.spikefinder.fetch import fetch_spikefinder
from nwb_cascade.spikefinder.neurons import load_neurons
from tests.support.http_server import Resource, local_server

CALCIUM = "0,1\n" + "\n".join(f"{0.1 * (i % 7)},{0.2 * (i % 5) if i < 40 else ''}" for i in range(60))
SPIKES = "0,1\n" + "\n".join(f"{int(i == 30)},{int(i == 20) if i < 40 else ''}" for i in range(60))


def archive(files):
    """A zip of these files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        for name, text in files.items():
            opened.writestr(f"spikefinder.train/{name}", text)
        opened.writestr("padding", bytes(200_000))  # stored as it is: enough to break off in the middle
    return packed.getvalue()


@pytest.fixture
def served():
    body = archive({"1.train.calcium.csv": CALCIUM, "1.train.spikes.csv": SPIKES})
    with local_server({"/spikefinder.train.zip": Resource(body)}) as server:
        yield server


def test_the_set_is_fetched_once_and_its_columns_are_neurons(tmp_path, served):
    url = f"{served.url}/spikefinder.train.zip"
    assert fetch_spikefinder(tmp_path, url=url).status == "fetched"
    again = fetch_spikefinder(tmp_path, url=url)
    assert (again.status, again.pairs) == ("present", 1)
    neurons = load_neurons(tmp_path)
    assert [neuron.segments[0].trace.size for neuron in neurons] == [60, 40]  # the second ends in NaN
    assert [int(neuron.segments[0].counts.sum()) for neuron in neurons] == [1, 1]


def test_a_connection_that_breaks_is_resumed(tmp_path, served):
    resource = served.resources["/spikefinder.train.zip"]
    resource.cut_after = [len(resource.body) // 2]
    assert fetch_spikefinder(tmp_path, url=f"{served.url}/spikefinder.train.zip").status == "fetched"
    assert any(asked for _, asked in served.requests)


def test_the_command_takes_an_address_and_says_what_it_did(tmp_path, served):
    arguments = ["spikefinder", "fetch", "-o", str(tmp_path), "--url", f"{served.url}/spikefinder.train.zip"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "fetched" in result.output
    assert "1 pairs" in result.output


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("nothing.zip", OSError, "could not be fetched"),
        ("other.zip", ValueError, r"pairs of \*\.calcium\*\.csv"),
        ("page.html", ValueError, r"address of a \.zip archive"),
    ],
)
def test_addresses_without_the_set_are_refused(tmp_path, served, path, error, message):
    served.resources["/other.zip"] = Resource(archive({"readme.txt": "nothing here"}))
    with pytest.raises(error, match=message):
        fetch_spikefinder(tmp_path, url=f"{served.url}/{path}")


def test_pairs_of_unequal_columns_are_refused(tmp_path):
    (tmp_path / "1.train.calcium.csv").write_text(CALCIUM)
    (tmp_path / "1.train.spikes.csv").write_text("0\n" + "\n".join("0" for _ in range(60)))
    with pytest.raises(ValueError, match=r"as many rows and columns as in 1.train.spikes.csv, received \(60, 2\)"):
        load_neurons(tmp_path)
