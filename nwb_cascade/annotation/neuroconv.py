"""neuroconv's interface of spike inference: a converter adds inferred rates as it adds movies, ROIs and behaviour."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from hdmf.common import DynamicTableRegion
from neuroconv import BaseDataInterface
from numpy.typing import NDArray
from pynwb import NWBFile
from pynwb.ophys import PlaneSegmentation

from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.errors import InputError
from nwb_cascade.nwb.objects import objects_of
from nwb_cascade.nwb.places import DEFAULT_MODULE, DEFAULT_RUN_NAME
from nwb_cascade.nwb.write import made_region
from nwb_cascade.readers.stored_runs import add_result, add_result_spikes, opened_result
from nwb_cascade.results.found_spikes import spikes_name


class SpikeInferenceInterface(BaseDataInterface):  # type: ignore[misc]  # neuroconv has no type hints
    """Infer spike rates from a recording of any format, for the NWB file that a converter makes.

    Parameters
    ----------
    source : str
        What `nwb_cascade.annotate` takes: a folder of suite2p or Minian, a file of CaImAn or EXTRACT, a matrix, NWB.
    options : dict, optional
        Keywords of `nwb_cascade.annotate` that say what is inferred and how, such as ``{"indicator": "GCaMP6f"}``, or
        ``{"spikes": "conserved"}`` for discrete spikes as well.
    verbose : bool
        As neuroconv's.
    """

    display_name = "Spike inference (nwb-cascade)"
    keywords = ("spike inference", "calcium imaging")
    associated_suffixes = (".nwb", ".npy", ".mat", ".hdf5", ".csv")
    info = "Calibrated spike rates, inferred from dF/F, with the model and the parameters that made them."

    def __init__(self, source: str, options: dict[str, Any] | None = None, verbose: bool = False) -> None:
        super().__init__(verbose=verbose, source=source, options=options or {})

    def add_to_nwbfile(
        self, nwbfile: NWBFile, metadata: dict[str, Any] | None = None, plane_segmentation: str | None = None
    ) -> None:
        """Infer, and add the model, the rates and discrete spikes if asked for to the processing module ``ophys``.

        The rates refer to the ROIs of the plane segmentation that is named, or of the only one with a row for every
        ROI; where there is none, to a table of the ROIs' ids. All rates are held in memory until the file is written.

        Raises as `nwb_cascade.annotate`.
        """
        options = self.source_data["options"]
        with TemporaryDirectory() as folder:
            output = Path(folder) / "rates.npz"
            annotate(self.source_data["source"], output=output, **options)
            with opened_result(output) as (record, arrays):
                ids = np.ravel(arrays["roi_ids"][:]).astype(np.int64)
                module, name = DEFAULT_MODULE, options.get("run_name") or DEFAULT_RUN_NAME
                rois = _region(nwbfile, ids, name, plane_segmentation)
                rates = add_result(nwbfile, module, rois, {**record, "run_name": name}, arrays)
                add_result_spikes(nwbfile, rates, spikes_name(name), record, arrays, output)


def _region(nwbfile: NWBFile, roi_ids: NDArray[np.int64], run: str, name: str | None) -> DynamicTableRegion:
    """Return the ROIs of the rates in a file that is being made."""
    tables = [one for one in objects_of(nwbfile, PlaneSegmentation).values() if name in (None, one.name)]
    fitting = [one for one in tables if len(one) == len(roi_ids)]
    if name is not None and len(fitting) != 1:
        found = ", ".join(f"{one.name} with {len(one)} rows" for one in tables) or "none of that name"
        raise InputError(f"Expected a plane segmentation {name!r} of {len(roi_ids)} ROIs, found {found}.")
    if len(fitting) != 1:
        return made_region(nwbfile, DEFAULT_MODULE, run, roi_ids)
    return fitting[0].create_roi_table_region("ROIs of the inferred rates.", region=list(range(len(roi_ids))))
