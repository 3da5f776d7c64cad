"""Spikes while a recording runs: frame by frame, in memory or from a socket."""
