"""Where models are installed, and what of a model is usable there."""

from __future__ import annotations

import os
from pathlib import Path

from nwb_cascade.core.config import require_model_name
from nwb_cascade.errors import ModelFileError
from nwb_cascade.models.bundle import Model, load_bundle

FOLDER_VARIABLE = "NWB_CASCADE_MODELS"
PUBLISHED_CONFIG = "config.yaml"  # of Cascade's folders; no bundle has one
IMPORTED_FROM = "imported_from"  # in the record of a model that is used by its published folder: that folder's name
IMPORTED = ".imported"  # beside the models: no model's name begins with a dot


def user_models_folder() -> Path:
    """Return the folder of the user's models: ``NWB_CASCADE_MODELS``, else the platform's place for data."""
    if folder := os.environ.get(FOLDER_VARIABLE):
        return Path(folder).expanduser()
    from platformdirs import user_data_path

    return user_data_path("nwb-cascade", appauthor=False) / "models"


def bundle_folder(name: str, into: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of a model by that name, below ``into`` or the user's folder.

    Raises
    ------
    ModelFileError
        If the name cannot be the name of a folder on every platform.
    """
    return (user_models_folder() if into is None else Path(into)) / require_model_name(name)


def imported_folder(digest: str) -> Path:
    """Folder of a bundle that was made of published files with this digest, for use by their own folder only."""
    return user_models_folder() / IMPORTED / digest


def load_if_sound(folder: Path) -> Model | None:
    """Load the model installed in a folder; None where nothing is, or nothing usable that could be repaired."""
    if not folder.exists():
        return None
    try:
        return load_bundle(folder)
    except ModelFileError:
        return None
