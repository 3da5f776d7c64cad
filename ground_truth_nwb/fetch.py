"""Download published ground truth: list the files of a source, fetch what is missing, keep checksums."""

from __future__ import annotations

import hashlib
import json
import traceback
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urlparse

from ground_truth_nwb.appearing import appearing
from ground_truth_nwb.catalogue import Dataset, Source, load_catalogue
from ground_truth_nwb.progress import Progress

LEDGER = "fetched.json"
MAX_GIGABYTES = 2.0
# A function (url, target) that downloads one file, resumes an interrupted one and returns its SHA-256.
Download = Callable[[str, Path], str]
# A function (url) that returns a small text file.
ReadText = Callable[[str], str]


@dataclass(frozen=True)
class Endpoints:
    """Addresses of the services, so that a mirror or a test can stand in for them.

    ``files`` is the address of the one file of a source without a listing; None: as the catalogue says.
    """

    github_api: str = "https://api.github.com"
    github_raw: str = "https://raw.githubusercontent.com"
    dandi_api: str = "https://api.dandiarchive.org/api"
    files: str | None = None


@dataclass(frozen=True)
class ListedFile:
    """One file of a source.

    Parameters
    ----------
    url : str
        Where it is downloaded from.
    path : str
        Where it goes below the target folder, with forward slashes.
    size : int or None
        Bytes, where the listing tells.
    git_sha1 : str or None
        Git's hash of the content, where the listing tells; it is checked.
    """

    url: str
    path: str
    size: int | None = None
    git_sha1: str | None = None


@dataclass(frozen=True)
class Fetched:
    """What became of one file: ``status`` is "fetched", "present" or "failed"."""

    path: str
    url: str
    status: str
    size: int = 0
    sha256: str = ""
    error: str | None = None
    details: str | None = None


def list_remote_files(
    dataset: Dataset, read_text: ReadText, *, endpoints: Endpoints | None = None
) -> tuple[ListedFile, ...]:
    """List the files of a data set at its source.

    Raises
    ------
    LookupError
        If the source has no file of this data set.
    OSError
        If the source cannot be read.
    ValueError
        If the listing is not complete.
    """
    source = load_catalogue().source(dataset.source)
    places = endpoints or Endpoints()
    listers = {"github-tree": _list_github, "dandi": _list_dandi, "files": _list_plain}
    found = listers[source.kind](dataset, source, read_text, places)
    if not found:
        raise LookupError(f"Expected files of {dataset.id} at {source.url}, found none.")
    return tuple(found)


def fetch(
    dataset_ids: Sequence[str],
    target: Path,
    *,
    download: Download,
    read_text: ReadText,
    max_gigabytes: float = MAX_GIGABYTES,
    endpoints: Endpoints | None = None,
    progress: Progress | None = None,
) -> tuple[Fetched, ...]:
    """Download data sets of the catalogue, one folder each.

    Files that are there with the size and SHA-256 noted in ``fetched.json`` are not downloaded again; an
    interrupted file is continued where ``download`` can. Archives are unpacked beside themselves. A file that
    fails is recorded and does not stop the others.

    Parameters
    ----------
    dataset_ids : sequence of str
        Identifiers in the catalogue.
    target : pathlib.Path
        Folder, created if it is missing.
    download, read_text : callable
        ``nwb_cascade.files.download.download`` and ``read_text``, or others that do the same.
    max_gigabytes : float
        Refuse to begin when the listed files are larger in all.
    endpoints : Endpoints, optional
        Other addresses of the services.
    progress : callable, optional
        Called as ``progress(done, total)`` after each file.

    Returns
    -------
    tuple of Fetched
        In the order of the listing.

    Raises
    ------
    LookupError
        If a data set is not in the catalogue or has no files.
    OSError, ValueError
        If a listing cannot be read, is not complete, or is larger than allowed.
    """
    datasets = [load_catalogue().dataset(dataset_id) for dataset_id in dataset_ids]
    files = [one for dataset in datasets for one in list_remote_files(dataset, read_text, endpoints=endpoints)]
    _require_at_most(max_gigabytes, files, dataset_ids)
    ledger = _read_ledger(target)
    outcomes = []
    for file in files:
        outcome = _fetch_one(file, target, ledger.get(file.path), download)
        if outcome.status != "failed":
            ledger[file.path] = asdict(outcome)
            _write_ledger(target, ledger)
        outcomes.append(outcome)
        if progress is not None:
            progress(len(outcomes), len(files))
    return tuple(outcomes)


def _require_at_most(max_gigabytes: float, files: Sequence[ListedFile], dataset_ids: Sequence[str]) -> None:
    """Refuse a listing that is larger in all."""
    total = sum(one.size or 0 for one in files)
    if total > max_gigabytes * 1e9:
        raise ValueError(
            f"Expected at most {max_gigabytes:g} GB, {', '.join(dataset_ids)} has {total / 1e9:.1f} GB in "
            f"{len(files)} files. Allow more, or take single files by hand."
        )


def _fetch_one(file: ListedFile, target: Path, noted: dict[str, Any] | None, download: Download) -> Fetched:
    """Download one file unless it is there as noted."""
    place = Path(target, *PurePosixPath(file.path).parts)
    try:
        if noted is not None and noted["url"] == file.url and _is_as_noted(place, noted, file):
            return Fetched(file.path, file.url, "present", int(noted["size"]), str(noted["sha256"]))
        place.parent.mkdir(parents=True, exist_ok=True)
        digest = download(file.url, place)
        _check_content(place, file)
        if place.suffix == ".zip":
            _unpack_tables(place)
        return Fetched(file.path, file.url, "fetched", place.stat().st_size, digest)
    except Exception as error:  # one file's failure must not stop the others; it is recorded with its traceback
        details = "".join(traceback.format_exception(error))
        return Fetched(file.path, file.url, "failed", error=f"{type(error).__name__}: {error}", details=details)


def _is_as_noted(place: Path, noted: dict[str, Any], file: ListedFile) -> bool:
    """Whether a file is still what was downloaded, and what the source has now."""
    if not place.exists() or place.stat().st_size != noted["size"]:
        return False
    if file.git_sha1 is not None:
        return _git_sha1(place) == file.git_sha1
    return hashlib.sha256(place.read_bytes()).hexdigest() == str(noted["sha256"])


def _check_content(place: Path, file: ListedFile) -> None:
    """Compare size and hash with the listing; a wrong file is removed."""
    size = place.stat().st_size
    if file.size is not None and size != file.size:
        place.unlink()
        raise ValueError(f"Expected {file.size} bytes from {file.url}, received {size}; the file was removed.")
    if file.git_sha1 is not None and (received := _git_sha1(place)) != file.git_sha1:
        place.unlink()
        raise ValueError(
            f"Expected content with git hash {file.git_sha1} from {file.url}, received {received}; it was removed."
        )


def _git_sha1(path: Path) -> str:
    """Hash a file as git does: a header with its size, then its content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _unpack_tables(archive: Path) -> None:
    """Unpack the CSV files of an archive flat into its folder."""
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            name = PurePosixPath(entry.filename.replace("\\", "/")).name
            if name.endswith(".csv") and not name.startswith("."):
                with appearing(archive.with_name(name)) as partial:
                    partial.write_bytes(opened.read(entry))


def _list_github(dataset: Dataset, source: Source, read_text: ReadText, places: Endpoints) -> list[ListedFile]:
    """List the MATLAB files of a data set's folder in a GitHub repository."""
    repository, _, rest = source.location.partition("@")
    branch, _, folder = rest.partition(":")
    url = f"{places.github_api}/repos/{repository}/git/trees/{branch}?recursive=1"
    listing = json.loads(read_text(url))
    if listing.get("truncated"):
        raise ValueError(f"Expected the whole list of files from {url}, the service cut it short.")
    prefix = f"{folder}/{dataset.folder}/"
    return [
        ListedFile(
            url=f"{places.github_raw}/{repository}/{branch}/{quote(entry['path'])}",
            path=f"{dataset.folder}/{PurePosixPath(entry['path']).name}",
            size=int(entry["size"]),
            git_sha1=str(entry["sha"]),
        )
        for entry in listing["tree"]
        if entry["type"] == "blob" and entry["path"].startswith(prefix) and entry["path"].endswith(".mat")
    ]


def _list_dandi(dataset: Dataset, source: Source, read_text: ReadText, places: Endpoints) -> list[ListedFile]:
    """List the NWB files of a dandiset's draft, page by page."""
    base = f"{places.dandi_api}/dandisets/{source.location}/versions/draft/assets/"
    files: list[ListedFile] = []
    url: str | None = f"{base}?page_size=1000"
    while url is not None:
        page = json.loads(read_text(url))
        files += [
            ListedFile(
                url=f"{base}{asset['asset_id']}/download/",
                path=f"{dataset.folder}/{asset['path']}",
                size=int(asset["size"]),
            )
            for asset in page["results"]
            if str(asset["path"]).endswith(".nwb")
        ]
        url = page.get("next")
    return files


def _list_plain(dataset: Dataset, source: Source, read_text: ReadText, places: Endpoints) -> list[ListedFile]:
    """Name the one file of a source without a listing."""
    url = places.files or source.location
    return [ListedFile(url=url, path=f"{dataset.folder}/{PurePosixPath(urlparse(url).path).name}")]


def _read_ledger(target: Path) -> dict[str, dict[str, Any]]:
    """Return what was fetched before, by path; a damaged ledger counts as empty."""
    try:
        entries = json.loads(Path(target, LEDGER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}


def _write_ledger(target: Path, ledger: dict[str, dict[str, Any]]) -> None:
    """Replace the ledger in one step."""
    target.mkdir(parents=True, exist_ok=True)
    with appearing(target / LEDGER) as partial:
        partial.write_text(json.dumps(ledger, indent=1, sort_keys=True) + "\n", encoding="utf-8")
