"""Ground truth for spike inference as NWB: catalogue, readers, one writer, and a simulator."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("nwb-cascade")
