"""How networks read traces: dF/F as it is, or moved to where it rests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.preparation import Prepared
from nwb_cascade.core.rest_level import Told


class Reading:
    """dF/F as it is. ``record`` is what the record of a run says of it, if anything."""

    record: ClassVar[str | None] = None

    def noise_levels(self, told: Told, n_frames: int) -> NDArray[np.float32]:
        """Noise levels (n_rois,) of the traces of a stretch as they are read, % Hz^-1/2."""
        return told.noise_level

    def traces(self, prepared: Sequence[Prepared], told: Sequence[tuple[Told, int]]) -> list[Prepared]:
        """Traces as they are read; with each what is told of its stretch, and its place there."""
        return list(prepared)


AS_IT_IS = Reading()


class FromRest(Reading):
    """dF/F from its rest level (``nwb_cascade.core.rest_level``)."""

    record = "(dF/F - r) / (1 + r)"

    def noise_levels(self, told: Told, n_frames: int) -> NDArray[np.float32]:
        """Noise levels (n_rois,) of the traces of a stretch as they are read, % Hz^-1/2."""
        return told.noise_from_rest(n_frames)

    def traces(self, prepared: Sequence[Prepared], told: Sequence[tuple[Told, int]]) -> list[Prepared]:
        """Traces that rest at 0; missing frames stay as they are."""
        return [
            replace(one, trace=np.where(one.present, stretch.from_rest(one.trace, roi), one.trace))
            for one, (stretch, roi) in zip(prepared, told, strict=True)
        ]
