"""The installed models: the user's folder and the models that come with the package."""

from __future__ import annotations

import difflib
import os
import shutil
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nwb_cascade.core.config import ModelConfig
from nwb_cascade.errors import ModelFileError, NoModelError
from nwb_cascade.models.bundle import BUNDLE_FILES, CONFIG_FILE, Model, check_only_bundle, load_bundle, load_config
from nwb_cascade.models.folders import PUBLISHED_CONFIG, user_models_folder

BUNDLED_FOLDER = Path(__file__).parent / "bundled"


@dataclass(frozen=True)
class InstalledModel:
    """One model folder, readable or not.

    Parameters
    ----------
    name : str
        Name of the folder, by which the model is loaded.
    path : pathlib.Path
        The folder.
    origin : {"user", "bundled"}
        Installed by the user, or part of the package.
    config : ModelConfig or None
        None if it cannot be read.
    problem : str
        Why not; empty otherwise.
    """

    name: str
    path: Path
    origin: Literal["user", "bundled"]
    config: ModelConfig | None
    problem: str = ""


def list_installed() -> list[InstalledModel]:
    """List every model folder by name, damaged ones too; the user's hides a bundled one of the same name."""
    found = {entry.name: entry for entry in _scan(BUNDLED_FOLDER, "bundled")}
    found |= {entry.name: entry for entry in _scan(user_models_folder(), "user")}
    return [found[name] for name in sorted(found)]


def installed_models() -> list[ModelConfig]:
    """List the configurations of all installed models by name; a damaged one is left out with a warning."""
    configs = []
    for entry in list_installed():
        if entry.config is None:
            warnings.warn(f"The installed model {entry.name!r} is left out: {entry.problem}", stacklevel=2)
        else:
            configs.append(entry.config)
    return configs


def load_model(name_or_dir: str | os.PathLike[str]) -> Model:
    """Load a model and verify its hashes.

    Parameters
    ----------
    name_or_dir : str or path
        Name of an installed model, or the folder of a bundle or of a published Cascade model.

    Returns
    -------
    Model
        The model.

    Raises
    ------
    NoModelError
        If no model of that name is installed and no such folder exists; the message lists the nearest names.
    ModelFileError
        If its files are damaged.
    ImportError
        If a published model has PyTorch files only and PyTorch is not installed.
    """
    installed = {entry.name: entry.path for entry in list_installed()}
    if isinstance(name_or_dir, str) and name_or_dir in installed:
        return load_bundle(installed[name_or_dir])
    folder = Path(name_or_dir)
    if (folder / PUBLISHED_CONFIG).exists() and not (folder / CONFIG_FILE).exists():
        from nwb_cascade.models.import_cascade import load_published_folder

        return load_published_folder(folder)
    if folder.is_dir():
        return load_bundle(folder)
    raise NoModelError(
        unknown_name(os.fspath(name_or_dir), installed, "is installed, and no folder of that name exists")
    )


def model_reference(name_or_dir: str | os.PathLike[str]) -> str:
    """What names a model from any folder: its name if it is installed, else its folder in full."""
    is_installed = isinstance(name_or_dir, str) and name_or_dir in {entry.name for entry in list_installed()}
    return name_or_dir if is_installed else os.path.abspath(name_or_dir)  # type: ignore[return-value]


def remove_model(name: str) -> Path:
    """Delete a model of the user's folder and return where it was.

    Raises
    ------
    NoModelError
        If the user installed no model of that name; models of the package cannot be removed.
    FileExistsError
        If the model's folder also holds other files.
    """
    own = {entry.name: entry.path for entry in _scan(user_models_folder(), "user")}
    if name not in own:
        raise NoModelError(unknown_name(name, own, f"was installed in {user_models_folder()}"))
    folder = own[name]
    if folder.is_symlink():
        folder.unlink()
        return folder
    check_only_bundle(folder)
    shutil.rmtree(folder)
    return folder


def unknown_name(name: str, known: Iterable[str], what: str) -> str:
    """Compose the message for a name that is not known, with the nearest ones that are."""
    names = sorted(known)
    lowered = {known_name.lower(): known_name for known_name in names}
    near = [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.6)]
    hint = f" Nearest names: {', '.join(near)}." if near else ""
    return f"No model named {name!r} {what}.{hint}"


def _scan(folder: Path, origin: Literal["user", "bundled"]) -> list[InstalledModel]:
    if not folder.is_dir():
        return []
    models = [path for path in folder.iterdir() if not path.name.startswith(".") and _has_bundle_file(path)]
    return [_entry(path, origin) for path in sorted(models)]


def _has_bundle_file(path: Path) -> bool:
    """Tell a model's folder, even a damaged one, from folders that are something else."""
    return any((path / name).is_file() for name in BUNDLE_FILES)


def _entry(path: Path, origin: Literal["user", "bundled"]) -> InstalledModel:
    try:
        config = load_config(path)
    except ModelFileError as error:
        return InstalledModel(path.name, path, origin, None, str(error))
    if config.name != path.name:
        problem = f"Expected the model {config.name!r} in a folder of that name, found it in {path}; rename that."
        return InstalledModel(path.name, path, origin, None, problem)
    return InstalledModel(path.name, path, origin, config)
