"""Which ROIs are asked for: those with 1 in a column that tells cells from the rest; the others keep their rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.errors import InputError

ACCEPTED, ALL_ROIS, NOT_ASKED = "accepted", "all", "not-asked"
# What columns of accepted ROIs are called: by suite2p, by CaImAn and neuroconv, by AllenSDK, by CaImAn for its own
# verdict (its "accepted" is the user's, and empty without one).
NAMES = ("iscell", "accepted", "validroi", "keep")


@dataclass(frozen=True, eq=False)
class RoiChoice:
    """The ROIs that are asked for.

    Parameters
    ----------
    asked : numpy.ndarray
        (n_rois,) bool.
    column : str
        The column that says so.
    """

    asked: NDArray[np.bool_]
    column: str

    def record(self) -> dict[str, Any]:
        """Return what identifies the choice: equal for the same ROIs by a column of the same name."""
        return {"column": self.column, "asked_sha256": hashlib.sha256(np.packbits(self.asked).tobytes()).hexdigest()}

    @property
    def note(self) -> tuple[str, str]:
        """Code and words of why a ROI has no values."""
        return NOT_ASKED, f"not asked for ({self.column} is 0), nothing inferred"


def chosen_rois(wanted: str | None, columns: Mapping[str, NDArray[Any]], where: str) -> RoiChoice | None:
    """Return the ROIs that an option means, None for all of them.

    Parameters
    ----------
    wanted : {"accepted", "all"} or str, optional
        A column, or ``accepted`` for whichever of the usual ones there is; None means all.
    columns : mapping of str to numpy.ndarray
        (n_rois,) numbers or bool, each; of those with two columns, as suite2p stores its verdict, the first counts.
    where : str
        What has the columns, for messages.

    Raises
    ------
    InputError
        If there is no such column of zeros and ones, or it accepts no ROI.

    Examples
    --------
    >>> chosen_rois("accepted", {"snr": np.array([3.5, 4]), "Accepted": np.array([1, 0])}, "the table").asked
    array([ True, False])
    """
    if wanted in (None, ALL_ROIS):
        return None
    usable = {name: verdict for name, values in columns.items() if (verdict := _verdict(values)) is not None}
    names = [wanted] if wanted in usable else []
    if wanted == ACCEPTED:
        plain = {name: name.lower().replace("_", "") for name in usable}
        names = [name for usual in NAMES for name in usable if plain[name] == usual]
    if not names:
        what = f"a column of accepted ROIs ({', '.join(NAMES)})" if wanted == ACCEPTED else f"a column {wanted!r}"
        raise InputError(
            f"Expected {what} of zeros and ones in {where}, found {', '.join(usable) or 'none'}. Name one with --rois "
            "COLUMN, or take all with --rois all."
        )
    name = next((one for one in names if usable[one].any()), names[0])
    if not usable[name].any():
        raise InputError(
            f"Expected ROIs to infer from, but the column {name} of {where} accepts none of {usable[name].size}. "
            "Take all with --rois all."
        )
    return RoiChoice(usable[name], name)


def recorded(choice: RoiChoice | None) -> dict[str, Any]:
    """Return what identifies a choice as part of a larger record, which all ROIs add nothing to."""
    return {} if choice is None else {"rois": choice.record()}


def _verdict(values: NDArray[Any]) -> NDArray[np.bool_] | None:
    """A column as bool; None if it holds anything but zeros and ones."""
    values = np.asarray(values)
    if values.ndim == 2 and values.shape[1] == 2:  # verdict and probability
        values = values[:, 0]
    if values.ndim != 1 or values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        return None
    return values.astype(bool)
