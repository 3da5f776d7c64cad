"""Keras, and the operations that networks are written in: imported here and nowhere else, when they are first needed.

``from nwb_cascade.architectures.backend import network_ops`` inside a function gives the operations of the backend that
Keras is set to (``KERAS_BACKEND``); on TensorFlow they need no Keras, which would take a third as long again to import.
``from nwb_cascade.architectures.backend import keras`` gives Keras itself, for training. Within
``writing_in(operations)`` networks are written in others, as for an export.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import RLock
from typing import Any

from nwb_cascade.architectures.start_up import without_notes
from nwb_cascade.files.quick_import import importing

# TensorFlow imports this module of Keras at its end, to know the optimizers of saved models, and does without it where
# Keras is absent.
EAGERLY_IMPORTED = "keras.src.optimizers"
_STARTING = RLock()
_WRITTEN_IN: ContextVar[Any] = ContextVar("_WRITTEN_IN", default=None)


@dataclass(frozen=True)
class Argument:
    """Shape (None: any length) and type of one array that a compiled function takes."""

    shape: tuple[int | None, ...]
    dtype: str = "float32"


def __getattr__(name: str) -> Any:
    """``keras`` and ``network_ops``, imported when they are first asked for."""
    if name == "keras":
        return _keras()
    if name == "network_ops":
        return _WRITTEN_IN.get() or _operations()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@contextmanager
def writing_in(operations: Any) -> Iterator[None]:
    """Have networks of this thread written in other operations than those of the backend."""
    token = _WRITTEN_IN.set(operations)
    try:
        yield
    finally:
        _WRITTEN_IN.reset(token)


def devices() -> list[str]:
    """Names of the devices that the backend computes on; starts it."""
    names: list[str] = _operations().devices()
    return names


@cache
def _operations() -> Any:
    """The operations of the backend: ``on_tensorflow`` or ``on_keras``, which define the same names."""
    if _backend() == "tensorflow":
        _start_tensorflow()
        from nwb_cascade.architectures import on_tensorflow

        return on_tensorflow
    from nwb_cascade.architectures import on_keras

    return on_keras


def _keras() -> Any:
    if _backend() == "tensorflow":
        _start_tensorflow()
    import keras

    return keras


def _backend() -> str:
    """Name of the backend that Keras uses, or will use once it is imported."""
    if "keras" in sys.modules:
        return str(_loaded_keras().backend.backend())
    if name := os.environ.get("KERAS_BACKEND"):
        return name
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        return str(json.loads((home / "keras.json").read_text()).get("backend", "tensorflow"))
    except (OSError, ValueError):
        return "tensorflow"


def _loaded_keras() -> Any:
    import keras

    return keras


def _start_tensorflow() -> None:
    """Import TensorFlow and let it meet its device, without its notes; one that is there already is left alone."""
    with _STARTING:
        if "tensorflow" in sys.modules:
            return
        with without_notes(), importing(without=EAGERLY_IMPORTED):  # half the time
            import tensorflow as tf

            # On a GPU the first convolution loads cuDNN.
            tf.nn.conv1d(tf.zeros((1, 2, 1)), tf.zeros((1, 1, 1)), 1, "VALID")
