"""Copy what an NWB file says about session, subject and microscope into a new file."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
from hdmf.utils import get_docval
from pynwb import NWBFile
from pynwb.device import Device, DeviceModel
from pynwb.file import Subject
from pynwb.ophys import ImagingPlane, OpticalChannel

SESSION = (
    "session_description",
    "session_start_time",
    "timestamps_reference_time",
    "session_id",
    "experimenter",
    "experiment_description",
    "institution",
    "lab",
    "keywords",
    "notes",
    "pharmacology",
    "protocol",
    "related_publications",
    "slices",
    "data_collection",
    "surgery",
    "virus",
    "stimulus_notes",
)
NOT_OF_A_PLANE = ("optical_channel", "device", "manifold", "conversion", "unit")  # the last three are deprecated

T = TypeVar("T")


def session_copy(source: NWBFile, *, identifier: str) -> NWBFile:
    """Return a new file in memory with the session's metadata and the subject of another, and an identifier.

    What the source says about its own making (dates, scripts, programs) stays behind.
    """
    said = {name: plain(value) for name in SESSION if (value := getattr(source, name)) is not None}
    nwbfile = NWBFile(identifier=identifier, **said)
    if source.subject is not None:
        nwbfile.subject = alike(source.subject, Subject)
    return nwbfile


def plane_copy(plane: ImagingPlane, nwbfile: NWBFile) -> ImagingPlane:
    """Add a copy of an imaging plane with its optical channels and device to a file, unless it is there already."""
    if plane.name in nwbfile.imaging_planes:
        return nwbfile.imaging_planes[plane.name]
    copy = alike(
        plane,
        ImagingPlane,
        without=NOT_OF_A_PLANE,
        optical_channel=[alike(channel, OpticalChannel) for channel in plane.optical_channel],
        device=_device_copy(plane.device, nwbfile),
    )
    nwbfile.add_imaging_plane(copy)
    return copy


def _device_copy(device: Device, nwbfile: NWBFile) -> Device:
    """Add a copy of a device and its model to a file, unless they are there already."""
    if device.name in nwbfile.devices:
        return nwbfile.devices[device.name]
    model = getattr(device, "model", None)
    linked = {}
    if model is not None and model.name in nwbfile.device_models:
        linked["model"] = nwbfile.device_models[model.name]
    elif model is not None:
        linked["model"] = alike(model, DeviceModel)
        nwbfile.add_device_model(linked["model"])
    copy = alike(device, Device, without=("model",), **linked)
    nwbfile.add_device(copy)
    return copy


def alike(source: Any, kind: type[T], *, without: Iterable[str] = (), **parts: Any) -> T:
    """Return a new object of a plain NWB type with the fields of a given one, of that type or one that extends it.

    Parameters
    ----------
    source : hdmf.container.AbstractContainer
        Its fields are read into memory.
    kind : type
        Type of the copy.
    without : iterable of str
        Fields to leave out.
    **parts
        Fields of the copy that are made otherwise.
    """
    names = {argument["name"] for argument in get_docval(kind.__init__)} - set(without) - set(parts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the source may have deprecated fields
        said = {name: plain(value) for name in names if (value := getattr(source, name, None)) is not None}
        return kind(**said, **parts)


def plain(value: Any) -> Any:
    """Return an array of a file as one in memory, texts as str; anything else as it is."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "shape"):
        return list(value) if isinstance(value, tuple) else value
    array = np.asarray(value[()])
    if array.dtype.kind in "OSU":
        return np.vectorize(_text, otypes=[object])(array).tolist() if array.size else []
    return array if array.ndim else array.item()


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
