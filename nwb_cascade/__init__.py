"""Calibrated spike inference for calcium imaging, in NWB files and on DANDI.

The public names below are loaded when they are first used, so that ``import nwb_cascade`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from nwb_cascade.annotation.annotate import AnnotationResult, annotate, annotate_all
    from nwb_cascade.annotation.spikes import annotate_spikes
    from nwb_cascade.inference import InferenceResult, infer
    from nwb_cascade.models.library import installed_models, load_model
    from nwb_cascade.options import FromRaw
    from nwb_cascade.readers.inspecting import inspect

__all__ = [
    "AnnotationResult",
    "FromRaw",
    "InferenceResult",
    "annotate",
    "annotate_all",
    "annotate_spikes",
    "infer",
    "inspect",
    "installed_models",
    "load_model",
]

_HOMES = {
    "AnnotationResult": "nwb_cascade.annotation.annotate",
    "FromRaw": "nwb_cascade.options",
    "InferenceResult": "nwb_cascade.inference",
    "annotate": "nwb_cascade.annotation.annotate",
    "annotate_all": "nwb_cascade.annotation.annotate",
    "annotate_spikes": "nwb_cascade.annotation.spikes",
    "infer": "nwb_cascade.inference",
    "inspect": "nwb_cascade.readers.inspecting",
    "installed_models": "nwb_cascade.models.library",
    "load_model": "nwb_cascade.models.library",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("nwb-cascade")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
