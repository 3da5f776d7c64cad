"""NWB types for spike rates and spike times inferred from calcium imaging, with the model that made them."""

from importlib.resources import as_file, files
from pathlib import Path

from pynwb import load_namespaces

NAMESPACE_FILE = "ndx-spike-inference.namespace.yaml"


def _load_spec() -> None:
    """Register the namespace from the installed package or, in an editable install, from the checkout."""
    with as_file(files(__name__)) as package:
        installed = package / "spec" / NAMESPACE_FILE
        checkout = Path(__file__).resolve().parents[3] / "spec" / NAMESPACE_FILE
        load_namespaces(str(installed if installed.exists() else checkout))


_load_spec()

# The classes register themselves for types of the namespace, so they are imported after it is loaded.
from .model import KERNELS, SpikeInferenceModel  # noqa: E402
from .series import ALIGNMENTS, THRESHOLDS, InferredSpikeRateSeries  # noqa: E402
from .table import InferredSpikesTable  # noqa: E402

__all__ = [
    "ALIGNMENTS",
    "KERNELS",
    "THRESHOLDS",
    "InferredSpikeRateSeries",
    "InferredSpikesTable",
    "SpikeInferenceModel",
]


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("ndx-spike-inference")
