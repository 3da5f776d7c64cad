"""Reader: what every format of recordings answers; a new one is a subclass in a module of its own."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from nwb_cascade.errors import InputError
from nwb_cascade.options import InferenceOptions, flag_of, given
from nwb_cascade.readers.recording import Recording
from nwb_cascade.readers.sources import Source, name_of

if TYPE_CHECKING:
    from nwb_cascade.dandi.stream import StreamSettings


class Reader:
    """One format of recordings.

    Attributes
    ----------
    kind : str
        What its sources are, in messages.
    takes : frozenset of str
        Which of the options that say how a source is read (``of_source`` in their metadata) apply to it.
    is_raw : bool
        Whether its traces are always raw fluorescence, so that nobody needs to ask for dF/F.
    is_nwb : bool
        Whether its sources are NWB files, in which results are stored unless another output is named.
    """

    kind: str
    takes: frozenset[str] = frozenset()
    is_raw = False
    is_nwb = False

    def recognises(self, source: Source) -> bool:
        """Tell whether a source is of this format, with little effort."""
        raise NotImplementedError

    def open(
        self,
        source: Source,
        options: InferenceOptions,
        *,
        scratch_dir: Path | None = None,
        streaming: StreamSettings | None = None,
    ) -> AbstractContextManager[tuple[Recording, ...]]:
        """Open the recordings of a source that the options mean, and close them at the end of the context.

        Parameters
        ----------
        source : path, str or Asset
            One that is recognised.
        options : InferenceOptions
            Which traces, and how they are read.
        scratch_dir : pathlib.Path, optional
            Folder for scratch files.
        streaming : StreamSettings, optional
            How remote files are read.
        """
        raise NotImplementedError

    def check(self, source: Source, options: InferenceOptions) -> None:
        """Raise InputError if an option does not apply to a source, which is not opened for that."""
        for one, _ in given(options):
            if one.metadata.get("of_source") and one.name not in self.takes:
                raise InputError(f"{flag_of(one)} does not apply to {name_of(source)}, {self.kind}.")

    def result_paths(self, source: Source) -> tuple[Path, str]:
        """Return where rates go as a matrix by default, and what they are called in a folder that is named."""
        path = Path(name_of(source))
        suffix = path.suffix if path.suffix.lower() in (".npy", ".mat") else ".npy"
        return path.with_name(f"{path.stem}_spikes{suffix}"), f"{path.stem}{suffix}"

    def check_output(self, source: Source, target: Path) -> None:
        """Raise InputError if a result must not be written to a file that belongs to the source."""
