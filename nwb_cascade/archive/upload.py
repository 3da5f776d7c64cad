"""Upload: check a derived dandiset as DANDI does, then hand it to dandi's own uploader."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from ground_truth_nwb.dandi_checks import Finding, dandi_findings
from nwb_cascade.archive.derived import DANDISET_FILE, register
from nwb_cascade.core.progress import Progress
from nwb_cascade.errors import InputError, RemoteError


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
    results = sorted(folder.glob("sub-*/*.nwb"))
    if not results:
        raise InputError(f"Expected NWB files in {folder} (sub-*/*.nwb), found none: collect some results first.")
    return results


def upload_derived(folder: Path, *, dandiset: str, instance: str = "dandi", with_metadata: bool = False) -> None:
    """Send a checked dandiset to the archive by ``dandi upload``; the API key is taken as dandi takes it.

    Parameters
    ----------
    folder : pathlib.Path
        The derived dandiset.
    dandiset : str
        Number of the dandiset on the archive, which must exist and be yours.
    instance : str
        Name of the DANDI instance, or the URL of its API.
    with_metadata : bool
        Also send ``dandiset.yaml``, with the relations to the sources; it replaces what was edited on the web.

    Raises
    ------
    InputError
        If the number is none, or the instance unknown.
    LookupError
        If there is no such dandiset.
    PermissionError
        If there is no API key, or it is refused.
    RemoteError
        If the server does not answer, or a file did not get there; what did is not sent again.
    """
    if not re.fullmatch(r"[0-9]{6}", dandiset):
        raise InputError(f"Expected the number of a dandiset such as 000123, received {dandiset!r}.")
    os.environ.setdefault("DANDI_NO_ET", "1")
    from dandi.exceptions import UploadError
    from dandi.upload import upload

    from nwb_cascade.dandi.assets import clear_errors
    from nwb_cascade.dandi.client import is_known, token_for, token_variable
    from nwb_cascade.dandi.urls import find_instance

    found = find_instance(instance)
    no_key = f"Uploading to {found.name} needs an API key: set the environment variable {token_variable(found)}."
    if not is_known(found):
        if token_for(found) is None:
            raise PermissionError(no_key)
        found = replace(found, name="dandi")  # dandi looks for NAME_API_KEY, and no variable is called HOST:PORT_...
    register(folder, dandiset)
    try:
        with clear_errors(found, dandiset):
            upload(
                paths=[folder],
                dandi_instance=found,
                upload_dandiset_metadata=with_metadata,
                validation="skip",  # has just been done
            )
    except EOFError as error:  # dandi asked for the key where nobody answers
        raise PermissionError(no_key) from error
    except UploadError as error:
        raise RemoteError(f"A file of {folder} was not uploaded: {error}. Do it again to send the rest.") from error
