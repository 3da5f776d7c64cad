"""Versions of what is installed, against what this package asks for; nothing heavy is imported."""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import distribution, version
from typing import TYPE_CHECKING

from nwb_cascade.doctor.finding import Finding, Verdict, failure
from nwb_cascade.provenance import SOFTWARE, installed_version

if TYPE_CHECKING:
    from packaging.requirements import Requirement

SHOWN_TOO = ("keras",)  # comes with TensorFlow
COMPILED = ("numpy", "scipy", "h5py")  # whose wheels may not fit each other or the processor
DEVELOPERS = ("dev", "docs", "test")
PART = "software"


def python() -> Iterator[Finding]:
    """Which Python runs on which system."""
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    yield Finding(PART, "Python", "ok", f"{platform.python_version()} ({sys.implementation.name}) on {system}")


def packages() -> Iterator[Finding]:
    """The versions that shape results, and whether every requirement is met."""
    yield Finding(PART, SOFTWARE, "ok", version(SOFTWARE))
    for requirement in _requirements(None):
        yield _compared(requirement, "problem")
    for name in SHOWN_TOO:
        if found := installed_version(name):
            yield Finding(PART, name, "ok", found)


def imports() -> Iterator[Finding]:
    """Which of the compiled packages and the NWB types cannot be loaded."""
    return (row for name in (*COMPILED, "pynwb", "ndx_spike_inference") if (row := _import_failure(name)))


def extras() -> Iterator[Finding]:
    """Which optional parts are there."""
    named = distribution(SOFTWARE).metadata.get_all("Provides-Extra") or []
    for extra in (name for name in named if name not in DEVELOPERS):
        rows = [_compared(requirement, "note") for requirement in _requirements(extra)]
        lacking = [row for row in rows if row.verdict != "ok"]
        words = ", ".join(f"{row.name} {row.value}" for row in lacking)
        advice = f"if you need it: pip install 'nwb-cascade[{extra}]'" if lacking else ""
        is_unfit = bool(lacking) and all(installed_version(row.name) for row in lacking)
        yield Finding(PART, f"[{extra}]", "note" if is_unfit else "ok", words or "complete", advice)


def _requirements(extra: str | None) -> Iterator[Requirement]:
    """What this package asks for, or what one extra adds."""
    from packaging.requirements import Requirement

    for text in distribution(SOFTWARE).requires or []:
        requirement = Requirement(text)
        asked = requirement.marker is None or requirement.marker.evaluate({"extra": extra or ""})
        if asked and (extra is None or (requirement.marker is not None and "extra" in str(requirement.marker))):
            yield requirement


def _compared(requirement: Requirement, otherwise: Verdict) -> Finding:
    """Return the row of one requirement."""
    found, wanted = installed_version(requirement.name), str(requirement.specifier)
    if found is None:
        return Finding(PART, requirement.name, otherwise, "missing", f"pip install '{requirement}'")
    if not requirement.specifier.contains(found, prereleases=True):
        advice = f"pip install '{requirement.name}{wanted}'"
        return Finding(PART, requirement.name, otherwise, f"{found}, expected {wanted}", advice)
    return Finding(PART, requirement.name, "ok", found)


def _import_failure(name: str) -> Finding | None:
    try:
        importlib.import_module(name)
    except Exception as error:  # a broken package may raise anything
        advice = f"install it anew: pip install --force-reinstall {name.replace('_', '-')}"
        return Finding(PART, f"import {name}", "problem", failure(error), advice)
    return None
