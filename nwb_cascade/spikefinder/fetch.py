"""Download the Spikefinder training set: ten pairs of CSV files, one column per neuron, 100 Hz."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse

from nwb_cascade.core.progress import Progress
from nwb_cascade.files.download import download, read_text

DATASET = "SPIKEFINDER"


@dataclass(frozen=True)
class FetchedSet:
    """Where the files are, how many pairs, and whether they were "fetched" now or "present" before."""

    folder: Path
    status: str
    pairs: int


def fetch_spikefinder(output: Path, *, url: str | None = None, progress: Progress | None = None) -> FetchedSet:
    """Download the archive of the training set, check and unpack it; run again to resume.

    Parameters
    ----------
    output : pathlib.Path
        Folder, created if it is missing; the files go to a folder in it.
    url : str, optional
        Address of the archive; left out: the published one.
    progress : callable, optional
        Called as ``progress(done, total)`` after each file.

    Raises
    ------
    ValueError
        If the address does not name an archive, or what came is none with pairs of CSV files.
    OSError
        If the download failed; the message says why.
    """
    from ground_truth_nwb.catalogue import load_catalogue
    from ground_truth_nwb.fetch import Endpoints, fetch
    from ground_truth_nwb.source_files import find_sources

    if url is not None and not PurePosixPath(urlparse(url).path).name.endswith(".zip"):
        raise ValueError(f"Expected the address of a .zip archive, received {url}.")
    folder = output / load_catalogue().dataset(DATASET).folder
    (result,) = fetch(
        [DATASET], output, download=download, read_text=read_text, endpoints=Endpoints(files=url), progress=progress
    )
    if result.error is not None:
        raise OSError(f"{result.url} could not be fetched: {result.error}")
    try:
        pairs = [source for source in find_sources(folder) if source.layout == "spikefinder"]
    except LookupError:
        pairs = []
    if not pairs:
        raise ValueError(f"Expected pairs of *.calcium*.csv and *.spikes*.csv files in {result.url}, found none.")
    return FetchedSet(folder, result.status, len(pairs))
