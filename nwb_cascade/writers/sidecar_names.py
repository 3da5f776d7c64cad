"""What a sidecar is called: by DANDI's rules, from what the recording says about subject and session."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pynwb import NWBFile

from nwb_cascade.errors import InputError
from nwb_cascade.writers.targets import split_name

OTHER_ENTITIES = ("tis", "slice", "cell", "desc", "probe", "obj")  # in the order of DANDI's names
NAMING = ("sub", "ses")
DESCRIPTION = "spikes"
KEY_CHARACTERS = 8
LABEL_CHARACTERS = 48  # of names of 255 bytes at most, which hold four labels and may become part of other names


def sidecar_name(nwbfile: NWBFile, source_name: str, run: str = "") -> str:
    """Return ``sub-…_ses-…_desc-…_ophys.nwb`` for a recording.

    Subject and session are those of the file. Where it has none, those in the source's own name are taken; then for
    the subject the whole name, and for the session its start. Further entities of the source's name are kept.

    Parameters
    ----------
    nwbfile : pynwb.NWBFile
        The recording.
    source_name : str
        Path or address of the recording.
    run : str
        What tells the run from others of the same recording, if there may be any.
    """
    stem = _stem(source_name)
    named = _entities(stem)
    subject = getattr(nwbfile.subject, "subject_id", None) or named.get("sub") or stem
    session = nwbfile.session_id or named.get("ses") or nwbfile.session_start_time.strftime("%Y%m%dT%H%M%S")
    entities = {name: named[name] for name in OTHER_ENTITIES if name in named}
    described = (named.get("desc"), DESCRIPTION, run)
    entities["desc"] = "-".join(part for part in described if part)
    ordered = [
        ("sub", subject),
        ("ses", session),
        *((name, entities[name]) for name in OTHER_ENTITIES if name in entities),
    ]
    return "_".join(f"{name}-{label(value)}" for name, value in ordered) + "_ophys.nwb"


def names_apart(name: str, source_name: str, key: str) -> Iterator[str]:
    """Yield the names that a sidecar may have, the best first; the first that no other recording has is taken.

    Two recordings may state the same subject and session. Their own file names tell them apart where these say
    otherwise, else a hash does.

    Parameters
    ----------
    name : str
        What it is called by `sidecar_name`.
    source_name : str
        Path or address of the recording.
    key : str
        A hash of the recording, the same whenever it is asked for.

    Examples
    --------
    >>> for name in names_apart("sub-1_ses-a_desc-spikes_ophys.nwb", "x/sub-1_ses-b.nwb", "0123456789abcdef"):
    ...     print(name)
    sub-1_ses-a_desc-spikes_ophys.nwb
    sub-1_ses-b_desc-spikes_ophys.nwb
    sub-1_ses-a_desc-spikes-01234567_ophys.nwb
    """
    yield name
    own = _entities(_stem(source_name))
    parts = [(part.partition("-")[0], part) for part in name.split("_")]
    yield "_".join(
        f"{entity}-{label(own[entity])}" if entity in NAMING and entity in own else part for entity, part in parts
    )
    yield re.sub(r"(_desc-[^_.]+)", rf"\g<1>-{key[:KEY_CHARACTERS]}", name, count=1)


def label(text: str) -> str:
    """Return a text as a label of DANDI's names: letters, digits and single hyphens; a long one ends with its hash.

    Examples
    --------
    >>> label("mouse 7_ü/b."), label("m" * 200)
    ('mouse-7-b', 'mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm-cc90b279')
    """
    words = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-") or "unknown"
    if len(words) <= LABEL_CHARACTERS:
        return words
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:KEY_CHARACTERS]
    return f"{words[: LABEL_CHARACTERS - KEY_CHARACTERS - 1].rstrip('-')}-{digest}"


def sidecar_folder(source: Path | None, output: str | os.PathLike[str] | None) -> tuple[Path, str | None]:
    """Return the folder of a sidecar, and its name if the output is one.

    Parameters
    ----------
    source : pathlib.Path or None
        The recording; None for a remote one.
    output : path, optional
        A file that ends with ``.nwb``, or a folder; by default the folder of the recording, for a remote one the
        current folder.

    Raises
    ------
    InputError
        If the output is the recording, or a file of another kind.
    """
    if output is None:
        return Path() if source is None else source.parent, None
    target = Path(output)
    suffix = split_name(target.name)[1].lower()
    if suffix == ".nwb" and not target.is_dir():
        if source is not None and target.exists() and source.exists() and target.samefile(source):
            raise InputError(f"Expected an output other than the input {source}: a sidecar stands beside it.")
        return target.parent, target.name
    if suffix or target.is_file():
        raise InputError(f"Expected a folder, or a file that ends with .nwb, for a sidecar, received {target}.")
    return target, None


def placed(folder: Path, name: str) -> Path:
    """Return where a sidecar goes in a folder: in a dandiset into the folder of its subject.

    A dandiset is known by its ``dandiset.yaml``.
    """
    return folder / name.partition("_")[0] / name if (folder / "dandiset.yaml").exists() else folder / name


def _stem(source_name: str) -> str:
    return split_name(PurePosixPath(source_name.replace("\\", "/")).name)[0]


def _entities(stem: str) -> dict[str, str]:
    """What a name says by pairs of key and label, such as ``ses-a``."""
    return dict(re.findall(r"(?:^|(?<=_))([a-z]+)-([^_]+)", stem))
