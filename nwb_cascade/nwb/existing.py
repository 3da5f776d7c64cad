"""What is already where a run is to be stored: this very run, what may be replaced, or what may not."""

from __future__ import annotations

from pathlib import Path

from pynwb import NWBFile

from nwb_cascade.errors import InputError, NameTakenError
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.write import place_of, require_free, run_paths


def recording_holds_run(nwbfile: NWBFile, source_id: str, run_name: str, run_key: str, *, overwrite: bool) -> bool:
    """Tell whether a recording holds this very run for the series with the object id ``source_id``.

    Raises
    ------
    NameTakenError
        If it holds something else of this name that may not be replaced.
    """
    place = place_of(nwbfile, source_id, run_name)
    if place.run_key == run_key:
        return True
    require_free(place, overwrite=overwrite)
    return False


def copy_holds_run(
    copy: Path, nwbfile: NWBFile, source_id: str, run_name: str, run_key: str, *, overwrite: bool
) -> bool:
    """Tell whether an existing annotated copy of a recording holds this very run for one of its series.

    Returns
    -------
    bool
        False if the copy may be replaced by a new one.

    Raises
    ------
    NameTakenError
        If it holds other results, and ``overwrite`` is not set or would lose some that the new copy has not.
    InputError, OSError
        If it is no copy of this recording, or cannot be read.
    """
    try:
        with open_nwb(copy) as (held, _):
            if held.identifier != nwbfile.identifier:
                raise InputError("it is another recording")
            place = place_of(held, source_id, run_name) if source_id in held.objects else None
            runs = run_paths(held)
    except (InputError, OSError) as error:
        reason = str(error).rstrip(".")
        raise type(error)(f"The output {copy} exists and is not replaced: {reason}. Choose another (-o).") from error
    if place is not None and place.run_key == run_key:
        return True
    if not overwrite:
        raise NameTakenError(f"The output {copy} exists without this run. {_remedies(copy, run_name)}")
    path = place_of(nwbfile, source_id, run_name).object_path
    if lost := sorted(runs - run_paths(nwbfile) - {path}):
        raise NameTakenError(
            f"The output {copy} exists and holds {', '.join(lost)}, which overwriting would lose. "
            f"{_remedies(copy, run_name)}"
        )
    return False


def _remedies(copy: Path, run_name: str) -> str:
    return (
        f"Choose another output (-o), replace it (--overwrite), or add the run to it: "
        f"nwb-cascade infer '{copy}' --in-place --run-name '{run_name}'."
    )
