"""Inferred: one run with everything that a writer stores of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nwb_cascade.core.roi_choice import recorded
from nwb_cascade.inference_run import InferenceRun
from nwb_cascade.readers.recording import Recording
from nwb_cascade.results.found_spikes import FoundSpikes
from nwb_cascade.results.result import AnnotationResult
from nwb_cascade.results.stored_inference import StoredInference


@dataclass(frozen=True, eq=False)
class Inferred:
    """A run that is complete but not stored yet.

    Parameters
    ----------
    result : AnnotationResult
        Its name, its key, and where it goes.
    recording : Recording
        What it was inferred from; its file may be closed by now.
    run : InferenceRun
        The model and all that decided the numbers.
    stored : StoredInference
        The numbers, in temporary files.
    spikes : FoundSpikes or None
        Discrete spikes, if they are wanted.
    """

    result: AnnotationResult
    recording: Recording
    run: InferenceRun
    stored: StoredInference
    spikes: FoundSpikes | None = None

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What decided the numbers, dF/F, stretches and choice of ROIs of the recording included."""
        dff, clock = self.recording.dff, self.recording.clock.record()
        return {
            **self.run.parameters,
            **({} if dff is None else {"dff": dict(dff.record)}),
            **({"stretches": clock} if clock else {}),
            **recorded(self.recording.traces.choice),
            **({"uncalibrated": why} if (why := self.recording.uncalibrated) else {}),
        }
