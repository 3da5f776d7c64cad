"""Spikes while a recording runs: frame by frame, in memory or from a socket."""

from nwb_cascade.online.inference import OnlineInference, OnlineOptions

__all__ = ["OnlineInference", "OnlineOptions"]
