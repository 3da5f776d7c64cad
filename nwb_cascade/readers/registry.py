"""The formats that recordings are read from, and which of them a source is."""

from __future__ import annotations

from nwb_cascade.readers.allen import AllenNwb1Reader
from nwb_cascade.readers.caiman import CaimanReader
from nwb_cascade.readers.extract import ExtractReader
from nwb_cascade.readers.inscopix import InscopixReader
from nwb_cascade.readers.matrix import MatrixReader
from nwb_cascade.readers.minian import MinianReader
from nwb_cascade.readers.nwb import NwbReader
from nwb_cascade.readers.reader import Reader
from nwb_cascade.readers.sources import Source
from nwb_cascade.readers.suite2p import Suite2pReader

READERS: tuple[Reader, ...] = (
    ExtractReader(),  # before other matrices of MATLAB
    MatrixReader(),
    Suite2pReader(),
    CaimanReader(),
    MinianReader(),
    InscopixReader(),
    AllenNwb1Reader(),
    NwbReader(),  # the last: it recognises whatever no other does
)


def reader_of(source: Source) -> Reader:
    """Return the reader of a source."""
    return next(reader for reader in READERS if reader.recognises(source))
