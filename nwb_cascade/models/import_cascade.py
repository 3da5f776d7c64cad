"""Import of published Cascade models, from a folder or a zip archive, into this project's bundles."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nwb_cascade.architectures.cascade import network_shapes
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.wording import listed
from nwb_cascade.errors import ModelFileError
from nwb_cascade.files.hashing import file_sha256
from nwb_cascade.models.bundle import Model, make_model, save_bundle
from nwb_cascade.models.folders import IMPORTED_FROM, PUBLISHED_CONFIG, bundle_folder, imported_folder, load_if_sound
from nwb_cascade.models.published_config import PublishedConfig, read_published_config, to_model_config
from nwb_cascade.models.published_weights import READERS, Arrays
from nwb_cascade.models.unpack import extract_flat

_NETWORK_FILE = re.compile(r"Model_NoiseLevel_(\d+(?:\.\d+)?)_Ensemble_(\d+)\.(h5|pth)")
Networks = dict[float, list[Path]]


def import_cascade(
    source: str | os.PathLike[str],
    *,
    into: str | os.PathLike[str] | None = None,
    name: str | None = None,
    overwrite: bool = False,
    origin: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Model:
    """Convert a published Cascade model to a bundle and install it.

    Where a model comes as ``.h5`` and as ``.pth``, the kind with more networks is read, ``.h5`` if equal (it
    needs no PyTorch). Networks of noise levels that the configuration does not list stay out: Cascade never
    uses them; levels without networks are dropped. Both are recorded in ``config.extra``.

    Parameters
    ----------
    source : path
        Folder with ``config.yaml`` and ``Model_NoiseLevel_*_Ensemble_*.h5`` (or ``.pth``), or a zip of it.
    into : path, optional
        Folder of models to install into; the user's by default.
    name : str, optional
        Name to install by; ``model_name`` of the configuration by default.
    overwrite : bool
        Replace an installed model of that name. Without it, the same model is left as it is, and another one
        is an error.
    origin : mapping, optional
        Where the files come from (JSON values), kept in ``config.extra``.
    progress : callable, optional
        Called with (networks read, networks in all).

    Returns
    -------
    Model
        The installed model.

    Raises
    ------
    ModelFileError
        If a file is missing, damaged, unsafe or does not agree with the configuration.
    ImportError
        If the model has PyTorch files only and PyTorch is not installed.
    FileExistsError
        If another model of that name is installed and ``overwrite`` is not set.

    Notes
    -----
    Rupprecht et al. (2021), https://doi.org/10.1038/s41593-021-00895-5.
    """
    path = Path(source)
    if path.is_dir():
        model = read_cascade_folder(_model_folder(path), name=name, origin=origin, progress=progress)
    elif path.is_file():
        with tempfile.TemporaryDirectory(prefix="nwb-cascade-") as scratch:
            extract_flat(path, Path(scratch), wanted=_is_wanted)
            model = read_cascade_folder(Path(scratch), name=name, origin=origin, progress=progress)
    else:
        raise FileNotFoundError(f"Expected a folder or a zip archive of a Cascade model; there is no {path}.")
    return _install(model, bundle_folder(model.config.name, into), overwrite)


def load_published_folder(folder: Path) -> Model:
    """Load a published model that is used by its folder: its bundle is made once and kept beside the user's models.

    The bundle is found again by the content of the folder's files, so that changed files are imported anew. Where it
    cannot be kept, the model is imported each time. ``config.extra`` records the folder's name and that content.
    """
    files = [path for path in sorted(folder.iterdir()) if _is_wanted(path.name)]
    listing = "".join(f"{file_sha256(path)}  {path.name}\n" for path in files)
    digest = hashlib.sha256(listing.encode()).hexdigest()
    kept = imported_folder(digest)
    if (known := load_if_sound(kept)) is not None:
        return known
    model = read_cascade_folder(folder, origin={IMPORTED_FROM: folder.resolve().name, "files_sha256": digest})
    try:
        return save_bundle(kept, model.config, model.weights, overwrite=True)
    except OSError:
        return model


def read_cascade_folder(
    folder: Path, *, name: str | None = None, origin: Mapping[str, Any] | None = None, progress: Progress | None = None
) -> Model:
    """Read a published Cascade model from its folder and install nothing.

    Parameters and errors are those of :func:`import_cascade`.
    """
    published = read_published_config(folder / PUBLISHED_CONFIG)
    shapes = network_shapes(published.window_size, published.network)
    kind, found = _networks(folder)
    levels = _levels(published, found, folder)
    size = _ensemble_size({level: found[level] for level in levels}, folder)
    files = {f"{level:g}/{member}": file for level in levels for member, file in enumerate(found[level])}
    weights: Arrays = {}
    for done, (key, file) in enumerate(files.items(), start=1):
        arrays = READERS[kind](file)
        _check_network(arrays, shapes, file)
        weights |= {f"{key}/{layer}": array for layer, array in arrays.items()}
        if progress is not None:
            progress(done, len(files))
    extra = {
        "format": kind,
        "model_name": published.name,
        "levels_without_networks": sorted(set(published.noise_levels) - set(levels)),
        "levels_left_out": sorted(set(found) - set(levels)),
        **(origin or {}),
    }
    config = to_model_config(
        published, name=published.name if name is None else name, noise_levels=levels, ensemble_size=size, extra=extra
    )
    return make_model(config, weights)


def _model_folder(folder: Path) -> Path:
    """Find the model's own folder: the one given, or the only one inside it, as archives often unpack."""
    if (folder / PUBLISHED_CONFIG).exists():
        return folder
    inside = sorted(path.parent for path in folder.glob(f"*/{PUBLISHED_CONFIG}"))
    if len(inside) == 1:
        return inside[0]
    detail = f"has {len(inside)} models in it, name one of them" if inside else f"has no {PUBLISHED_CONFIG}"
    raise ModelFileError(f"Expected the folder of one Cascade model; {folder} {detail}.")


def _is_wanted(file_name: str) -> bool:
    return file_name == PUBLISHED_CONFIG or _NETWORK_FILE.fullmatch(file_name) is not None


def _networks(folder: Path) -> tuple[str, Networks]:
    """Find the network files: their kind, and by noise level the files in order of ensemble number."""
    kinds: dict[str, dict[float, dict[int, Path]]] = {"h5": {}, "pth": {}}
    for path in sorted(folder.iterdir()):
        if match := _NETWORK_FILE.fullmatch(path.name):
            level, member, kind = float(match[1]), int(match[2]), match[3]
            kinds[kind].setdefault(level, {})[member] = path
    kind = max(kinds, key=lambda key: sum(map(len, kinds[key].values())))
    if not kinds[kind]:
        raise ModelFileError(
            f"Expected files Model_NoiseLevel_*_Ensemble_*.h5 or .pth beside {PUBLISHED_CONFIG}, none in {folder}."
        )
    return kind, {level: [files[member] for member in sorted(files)] for level, files in kinds[kind].items()}


def _levels(published: PublishedConfig, found: Networks, folder: Path) -> list[float]:
    levels = [level for level in published.noise_levels if level in found]
    if not levels:
        raise ModelFileError(
            f"Expected networks for the noise levels {listed(published.noise_levels)} of {PUBLISHED_CONFIG}, "
            f"found levels {listed(sorted(found))} in {folder}."
        )
    return levels


def _ensemble_size(networks: Networks, folder: Path) -> int:
    sizes = {level: len(files) for level, files in networks.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{count} at level {level:g}" for level, count in sizes.items())
        raise ModelFileError(
            f"Expected the same number of networks at every noise level, found {listed} in {folder}: "
            "files are missing; fetch or unpack the model again."
        )
    return next(iter(sizes.values()))


def _check_network(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]], file: Path) -> None:
    received = {key: array.shape for key, array in arrays.items()}
    if received.keys() != shapes.keys():
        raise ModelFileError(f"Expected the arrays {sorted(shapes)}, received {sorted(received)} in {file}.")
    for key, shape in shapes.items():
        if received[key] != shape:
            found = f"received {received[key]} in {file}"
            raise ModelFileError(f"Expected {key} of shape {shape} as {PUBLISHED_CONFIG} implies, {found}.")


def _install(model: Model, folder: Path, overwrite: bool) -> Model:
    installed = load_if_sound(folder)
    if installed is not None and not overwrite:
        if installed.sha256 == model.sha256 and _same_but_origin(installed.config, model.config):
            return installed
        raise FileExistsError(
            f"Another model named {model.config.name!r} is installed in {folder}; choose another name, "
            "remove it, or overwrite it (overwrite=True, --overwrite)."
        )
    return save_bundle(folder, model.config, model.weights, overwrite=True)


def _same_but_origin(one: ModelConfig, other: ModelConfig) -> bool:
    return replace(one, extra={}) == replace(other, extra={})
