"""Upload: check a derived dandiset as DANDI does, then hand it to dandi's own uploader."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ground_truth_nwb.dandi_checks import Finding, dandi_findings
from nwb_cascade.archive.derived import DANDISET_FILE, read_dandiset_file, registered
from nwb_cascade.archive.merge import merge
from nwb_cascade.core.progress import Progress
from nwb_cascade.errors import InputError, RemoteError

if TYPE_CHECKING:
    from dandi.consts import DandiInstance


def validate_derived(folder: Path, *, progress: Progress | None = None) -> list[Finding]:
    """Check a dandiset as ``dandi validate`` does; nothing is sent anywhere.

    Raises
    ------
    InputError
        If the folder is no dandiset or holds no result.
    """
    results = results_in(folder)
    findings = list(dandi_findings(folder / DANDISET_FILE, folder))
    for done, path in enumerate(results, 1):
        findings += dandi_findings(path, folder)
        if progress is not None:
            progress(done, len(results))
    return findings


def results_in(folder: Path) -> list[Path]:
    """Return the NWB files of a dandiset.

    Raises
    ------
    InputError
        If the folder is no dandiset or holds none.
    """
    if not (folder / DANDISET_FILE).is_file():
        raise InputError(f"Expected a folder that 'nwb-cascade archive collect' made, received {folder}.")
    results = sorted(path for path in folder.glob("sub-*/*.nwb") if not path.name.startswith("."))
    if not results:
        raise InputError(f"Expected NWB files in {folder} (sub-*/*.nwb), found none: collect some results first.")
    return results


def find_server(dandiset: str, instance: str) -> DandiInstance:
    """Return the DANDI instance on which a dandiset is to be changed.

    Raises
    ------
    InputError
        If the number of the dandiset is none, or the instance unknown.
    RemoteError
        If it does not answer.
    """
    if not re.fullmatch(r"[0-9]{6}", dandiset):
        raise InputError(f"Expected the number of a dandiset such as 000123, received {dandiset!r}.")
    os.environ.setdefault("DANDI_NO_ET", "1")
    from nwb_cascade.dandi.urls import find_instance

    return find_instance(instance)


def upload_files(folder: Path, dandiset: str, instance: DandiInstance) -> None:
    """Send the files of a checked dandiset by ``dandi upload``; the API key is taken as dandi takes it.

    Parameters
    ----------
    folder : pathlib.Path
        The derived dandiset.
    dandiset : str
        Number of the dandiset on the archive, which must exist and be yours.
    instance : dandi.consts.DandiInstance
        See `find_server`.

    Raises
    ------
    LookupError
        If there is no such dandiset.
    PermissionError
        If there is no API key, or it is refused.
    RemoteError
        If the server does not answer, or a file did not get there; what did is not sent again.
    """
    from dandi.exceptions import UploadError
    from dandi.upload import upload

    from nwb_cascade.dandi.client import is_known

    named = _with_key(instance)
    try:
        with (
            registered(folder, dandiset, instance.name if is_known(instance) else ""),
            _clear_errors(instance, dandiset),
        ):
            upload(paths=[folder], dandi_instance=named, validation="skip")  # has just been done
    except UploadError as error:
        raise RemoteError(f"A file of {folder} was not uploaded: {error}. Do it again to send the rest.") from error


def merge_metadata(folder: Path, dandiset: str, instance: DandiInstance, *, send: bool) -> tuple[str, ...]:
    """Add what ``dandiset.yaml`` says of the sources to the draft on the archive, see `nwb_cascade.archive.merge`.

    Parameters
    ----------
    folder, dandiset, instance
        As for `upload_files`.
    send : bool
        Whether to change anything, or only to find out what would change.

    Returns
    -------
    tuple of str
        What is added, one line each; empty if all of it was there.

    Raises
    ------
    InputError
        If the draft would become invalid by it.
    LookupError, PermissionError, RemoteError
        As `upload_files`.
    """
    from nwb_cascade.dandi.client import connect

    named = _with_key(instance) if send else instance
    with _clear_errors(instance, dandiset), connect(named) as client:
        if send and "Authorization" not in client.session.headers:
            client.dandi_authenticate()
        draft = client.get_dandiset(dandiset, "draft")
        merged = merge(draft.get_raw_metadata(), read_dandiset_file(folder))
        if send and merged.additions:
            draft.set_raw_metadata(dict(merged.values))
    return merged.additions


def _with_key(instance: DandiInstance) -> DandiInstance:
    """Return an instance under a name by which dandi finds its key; raises PermissionError if there can be none."""
    from nwb_cascade.dandi.client import is_known, token_for

    if is_known(instance):
        return instance
    if token_for(instance) is None:
        raise PermissionError(_no_key(instance))
    return replace(instance, name="dandi")  # dandi looks for NAME_API_KEY, and no variable is called HOST:PORT_...


@contextmanager
def _clear_errors(instance: DandiInstance, dandiset: str) -> Iterator[None]:
    """As `nwb_cascade.dandi.assets.clear_errors`, also for a key that is missing."""
    from nwb_cascade.dandi.assets import clear_errors

    try:
        with clear_errors(instance, dandiset):
            yield
    except EOFError as error:  # dandi asked for the key where nobody answers
        raise PermissionError(_no_key(instance)) from error


def _no_key(instance: DandiInstance) -> str:
    from nwb_cascade.dandi.client import owns_a_token, token_variable

    also = "" if owns_a_token(instance) else f" and DANDI_INSTANCE to {instance.api}"
    variable = token_variable(instance)
    return f"Uploading to {instance.name} needs an API key: set the environment variable {variable}{also}."
