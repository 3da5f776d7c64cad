"""Which recordings are held out together: nothing of a cell, an animal or a related dataset on both sides."""

from __future__ import annotations

from collections.abc import Sequence

from nwb_cascade.training.recordings import KnownRecording

# Whole datasets by fold. Those whose cells may come from the same animals stay together (02, 22, 23: Kwan & Dan;
# 11, 13: Cux2; 06, 08: zebrafish); each indicator with several datasets is spread, so that every fold's training
# still knows it. 17, 20 and 21 are the only ones of their indicator: held out, they are met as unknown or a relative.
DATASET_FOLDS: dict[str, int] = {
    "DS02": 0, "DS22": 0, "DS23": 0, "DS10": 0, "DS14": 0, "DS18": 0, "DS25": 0,
    "DS01": 1, "DS05": 1, "DS11": 1, "DS13": 1, "DS21": 1, "DS24": 1, "DS40": 1,
    "DS04": 2, "DS07": 2, "DS12": 2, "DS15": 2, "DS20": 2, "DS27": 2,
    "DS03": 3, "DS06": 3, "DS08": 3, "DS17": 3, "DS26": 3,
    "DS16": 4, "DS19": 4, "DS41": 4, "DS09": 4, "DS28": 4, "DS29": 4,
}  # fmt: skip
# GCaMP8: animals by fold (six digits of the file names), the interneurons of DS33 with their animals.
ANIMAL_FOLDS: dict[str, int] = {
    "471993": 0, "472179": 0, "472182": 0,
    "471994": 1, "472180": 1, "479116": 1,
    "478342": 2, "478348": 2, "479115": 2, "479119": 2,
    "478349": 3, "479117": 3,
    "478407": 4, "472181": 4, "478346": 4,
}  # fmt: skip
N_FOLDS = 5


def fold_of(recording: KnownRecording) -> int:
    """Fold of a recording; by animal for the GCaMP8 datasets (and DS33), by dataset for all others.

    Raises
    ------
    LookupError
        If neither its animal nor its dataset has a fold.
    """
    if recording.animal in ANIMAL_FOLDS:
        return ANIMAL_FOLDS[recording.animal]
    if recording.dataset in DATASET_FOLDS:
        return DATASET_FOLDS[recording.dataset]
    raise LookupError(
        f"Expected dataset {recording.dataset} or animal {recording.animal} in the table of folds "
        "(nwb_cascade/training/folds.py), found neither. Add it with whatever shares its cells or animals."
    )


def split(recordings: Sequence[KnownRecording], fold: int) -> tuple[list[KnownRecording], list[KnownRecording]]:
    """Recordings to train on and recordings held out in this fold."""
    inside = [recording for recording in recordings if fold_of(recording) != fold]
    return inside, [recording for recording in recordings if fold_of(recording) == fold]
