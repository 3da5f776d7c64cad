"""How many discrete spikes a ROI gets: as many as its expected spikes sum to, or only those that they support."""

from __future__ import annotations

from typing import Literal, get_args

SpikeTotal = Literal["conserved", "supported"]
SPIKE_TOTALS: tuple[SpikeTotal, ...] = get_args(SpikeTotal)
