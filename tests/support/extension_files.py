"""Recordings written by extensions of other projects; run as a script, as importing these changes what pynwb knows.

``python -m tests.support.extension_files microscopy|fiber FILE`` needs ndx-microscopy or ndx-fiber-photometry.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hdmf.common import DynamicTableRegion

from tests.support.recordings import bare_nwbfile, simulated_dff, write_recording


def write_microscopy(path: Path) -> None:
    """dF/F of ndx-microscopy beside its neuropil; the indicator is that of the channel of the movie."""
    from ndx_microscopy import MicroscopyExperimentMetadata, testing
    from ndx_ophys_devices import Indicator

    nwbfile, dff = bare_nwbfile(), simulated_dff()
    rig = testing.mock_full_rig(nwbfile)
    indicator, other = Indicator(name="green", label="GCaMP6f"), Indicator(name="red", label="jRGECO1a")
    nwbfile.add_lab_meta_data(MicroscopyExperimentMetadata(microscopy_rigs=[rig], indicators=[indicator, other]))
    channel = testing.mock_MicroscopyChannel(indicator=indicator)
    space = testing.mock_PlanarImagingSpace()
    movie = testing.mock_PlanarMicroscopySeries(
        microscopy_rig=rig, microscopy_channel=channel, planar_imaging_space=space
    )
    nwbfile.add_acquisition(movie)
    table = testing.mock_PlanarSegmentation(planar_imaging_space=space, number_of_rois=len(dff))
    module = nwbfile.create_processing_module("ophys", "Processed.")
    module.add(testing.mock_SegmentationContainer(segmentations=[table]))
    made = [
        testing.mock_MicroscopyResponseSeries(
            name=name,
            description=about,
            rois=DynamicTableRegion(name="rois", description="All.", data=list(range(len(dff))), table=table),
            data=values.T,
            unit="n.a.",
            rate=30.0,
            starting_time=1.25,
            microscopy_series=movie,
        )
        for name, about, values in (("DfOverF", "dF/F", dff), ("neuropil", "Of the neuropil.", 100 + 0 * dff))
    ]
    module.add(testing.mock_MicroscopyResponseSeriesContainer(microscopy_response_series=made))
    write_recording(path, nwbfile)


def write_fiber(path: Path) -> None:
    """The signal of two fibers."""
    from ndx_fiber_photometry import FiberPhotometryResponseSeries

    nwbfile = bare_nwbfile()
    series = FiberPhotometryResponseSeries(
        name="dff_signal", description="dF/F of two fibers.", data=simulated_dff(2).T, unit="n.a.", rate=30.0
    )
    nwbfile.create_processing_module("ophys", "Processed.").add(series)
    write_recording(path, nwbfile)


if __name__ == "__main__":
    {"microscopy": write_microscopy, "fiber": write_fiber}[sys.argv[1]](Path(sys.argv[2]))
