"""Ground truth for spike inference as NWB: catalogue, readers, one writer, and a simulator."""
