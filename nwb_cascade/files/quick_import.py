"""Import large libraries in less time: nothing of a module is garbage, and what is not used is passed over."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing(*, without: str = "") -> Iterator[None]:
    """Collect no garbage, and let a module look as if it were not installed, unless it was imported already.

    Parameters
    ----------
    without : str
        Name of a module that the libraries imported within try to import, and can do without.
    """
    is_hidden, collects = bool(without) and without not in sys.modules, gc.isenabled()
    if is_hidden:
        sys.modules[without] = None  # type: ignore[assignment]
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
        if is_hidden:
            del sys.modules[without]
