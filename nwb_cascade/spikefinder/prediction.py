"""Evaluate a Keras model on many windows."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH = 1024


def predicted(model: Any, values: NDArray[np.floating[Any]]) -> Any:
    """Outputs of a model for (n, ...) values, as ``model.predict`` gives them.

    The last batch is filled up, so that the model is compiled for one shape.
    """
    values = np.asarray(values, np.float32)
    n = len(values)
    filled = np.concatenate([values, np.repeat(values[:1], -n % min(BATCH, max(n, 1)), axis=0)])
    with _without_retracing_warnings():
        outputs = model.predict(filled, batch_size=min(BATCH, n), verbose=0)
    if isinstance(outputs, (list, tuple)):
        return [np.asarray(one)[:n] for one in outputs]
    return np.asarray(outputs)[:n]


@contextmanager
def _without_retracing_warnings() -> Iterator[None]:
    """TensorFlow warns of every fifth model that is compiled; a run compiles many, each once."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
