"""What `scripts/fuzz_files.py` damages, and the commands that meet it: recordings, models, manifests, answers."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nwb_cascade.archive.manifest import _check as seal_of
from nwb_cascade.models.library import BUNDLED_FOLDER
from tests.support.archive_jobs import file_job, manifest_of
from tests.support.cascade_files import CascadeSpec, write_cascade_folder
from tests.support.fuzz_answers import damage_answers, damaged_model, serve
from tests.support.nwb_damage import DAMAGES
from tests.support.recordings import dff_recording, simulated_dff
from tests.support.text_damage import damage_folder, damage_json, damage_text

MODEL = "conditional-1-120Hz"


@dataclass(frozen=True)
class Case:
    """A damaged file or folder and the words of a command on it; ``sound`` is what must be done all the same."""

    kind: str
    words: tuple[str, ...]
    damaged: str
    sound: str = ""


def cases(folder: Path, numbers: range, seed: int, *, only: str | None = None, infer_every: int = 40) -> Iterator[Case]:
    """Write sound and damaged files and yield what is to be run on them, kind by kind in turns."""
    origin = folder / "sound"
    origin.mkdir()
    made = {kind: maker(origin) for kind, maker in KINDS.items() if only in (None, kind)}
    turns = [kind for kind in ORDER if kind in made]
    for number in numbers:
        rng = np.random.default_rng((seed, number))
        kind = turns[number % len(turns)]
        place = folder / f"{number:05d}"
        (place / "out").mkdir(parents=True)
        yield made[kind](place, rng, number // len(turns), infer_every)


Maker = Callable[[Path, np.random.Generator, int, int], Case]


def hdf5(origin: Path) -> Maker:
    """Recordings in HDF5 in several layouts."""
    dff, times = simulated_dff(4, 600), np.arange(600) / 30
    sound = [
        dff_recording(origin / "rate.nwb", dff),
        dff_recording(origin / "timestamps.nwb", dff, timestamps=times),
        dff_recording(origin / "chunks.nwb", dff, chunks=(100, 2), rate=30.0),
        dff_recording(origin / "long_table.nwb", simulated_dff(60, 300), chunks=(50, 60), timestamps=times[:300]),
    ]
    ways = sorted(DAMAGES)

    def make(place: Path, rng: np.random.Generator, number: int, infer_every: int) -> Case:
        way = ways[number % len(ways)]
        damaged = place / f"{way}.nwb"
        shutil.copy(sound[int(rng.integers(len(sound)))], damaged)
        DAMAGES[way](damaged, rng)
        return recording_case("hdf5", place, damaged, sound[0], number, infer_every)

    return make


def zarr(origin: Path) -> Maker:
    """A recording in Zarr."""
    stored = dff_recording(origin / "a.nwb.zarr", simulated_dff(4, 600))
    sound = dff_recording(origin / "beside_zarr.nwb", simulated_dff(4, 600))

    def make(place: Path, rng: np.random.Generator, number: int, infer_every: int) -> Case:
        damaged = place / "damaged.nwb.zarr"
        shutil.copytree(stored, damaged)
        if rng.random() < 0.5:
            (damaged / ".zmetadata").unlink()  # so that the single descriptions are read
        damage_folder(damaged, rng)
        return recording_case("zarr", place, damaged, sound, number, infer_every)

    return make


def recording_case(kind: str, place: Path, damaged: Path, sound: Path, number: int, infer_every: int) -> Case:
    """One of the commands that read recordings."""
    if number % infer_every == infer_every - 1:
        words: tuple[str, ...] = ("infer", "--json", "--overwrite", "-o", str(place / "out"))
    else:
        manifest = str(place / "manifest.jsonl")
        words = (
            ("inspect", "--json"),
            ("infer", "--dry-run", "--json", "-o", str(place / "out")),
            ("archive", "plan", "-o", manifest),
        )[number // len(DAMAGES) % 3]
    return Case(kind, (*words, str(damaged), str(sound)), str(damaged), str(sound))


def bundle(origin: Path) -> Maker:
    """Folders of models, half of them with hashes that fit."""
    sound = dff_recording(origin / "for_bundle.nwb", simulated_dff(4, 200))

    def make(place: Path, rng: np.random.Generator, number: int, _: int) -> Case:
        damaged = place / MODEL
        shutil.copytree(BUNDLED_FOLDER / MODEL, damaged)
        damage_folder(damaged, rng)
        if rng.random() < 0.7 and not any(path.is_dir() for path in damaged.iterdir()):
            names = [path for path in sorted(damaged.iterdir()) if path.name != "SHA256SUMS"]
            lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in names]
            (damaged / "SHA256SUMS").write_text("".join(lines))
        infer = ("infer", "--dry-run", "-o", str(place / "out.nwb"), "--model", str(damaged), str(sound))
        words = (("models", "verify", str(damaged)), ("models", "show", str(damaged)), infer)[number % 3]
        return Case("bundle", words, str(damaged))

    return make


def cascade(origin: Path) -> Maker:
    """Published Cascade models."""
    write_cascade_folder(origin / "cascade", CascadeSpec())

    def make(place: Path, rng: np.random.Generator, number: int, _: int) -> Case:
        damaged = place / "cascade"
        shutil.copytree(origin / "cascade", damaged)
        config = damaged / "config.yaml"
        if rng.random() < 0.6:
            config.write_bytes(damage_text(config.read_text(), rng).encode(errors="surrogatepass"))
        else:
            damage_folder(damaged, rng)
        return Case("cascade", ("models", "import", "--overwrite", str(damaged)), str(damaged))

    return make


def manifest(origin: Path) -> Maker:
    """Manifests, half of them with checks that fit."""
    sound = dff_recording(origin / "for_manifest.nwb", simulated_dff(4, 200))
    jobs = file_job(sound), file_job(sound, parameters={"threshold": "raw"})
    path = manifest_of(origin / "manifest.jsonl", *jobs)

    def make(place: Path, rng: np.random.Generator, number: int, _: int) -> Case:
        damaged = place / "manifest.jsonl"
        lines = path.read_text().splitlines()
        at = int(rng.integers(len(lines)))
        if rng.random() < 0.8:
            lines[at] = damage_json(lines[at], rng)
            if rng.random() < 0.7:
                lines[at] = sealed(lines[at])
            damaged.write_bytes("\n".join([*lines, ""]).encode(errors="surrogatepass"))
        else:
            damaged.write_bytes(damage_text(path.read_text(), rng).encode(errors="surrogatepass"))
        out = str(place / "out")
        words = (
            ("archive", "status", str(damaged), "--out", out),
            ("archive", "submit", str(damaged), "--out", out, "--slurm", "-o", str(place / "submit.sh")),
            ("archive", "collect", str(damaged), "--out", out, str(place / "derived")),
        )[number % 3]
        return Case("manifest", words, str(damaged))

    return make


def sealed(line: str) -> str:
    """Give a line of a manifest the check that its values have; as it is if it has none."""
    try:
        values = json.loads(line)
        values.pop("check", None)
        return json.dumps({**values, "check": seal_of(values)})
    except (ValueError, TypeError, AttributeError, RecursionError):
        return line


def registry(origin: Path) -> Maker:
    """Lists of published models; an address that nobody answers stands in them."""
    entries = (
        f"Global_EXC_{rate}Hz_smoothing50ms:\n  Link: https://127.0.0.1:9/{rate}.zip\n  Info: none\n"
        for rate in (7, 30)
    )
    text = "# Models\n\n" + "\n".join(entries)

    def make(place: Path, rng: np.random.Generator, number: int, _: int) -> Case:
        damaged = place / "available.yaml"
        changed = damage_text(text, rng)
        damaged.write_bytes(
            (damage_text(changed, rng) if rng.random() < 0.3 else changed).encode(errors="surrogatepass")
        )
        words: tuple[str, ...] = ("models", "available", "--registry", str(damaged))
        if number % 8 == 7:
            words = ("models", "fetch", "Global_EXC_30Hz_smoothing50ms", "--registry", str(damaged))
        return Case("registry", words, str(damaged))

    return make


def answers(origin: Path) -> Maker:
    """Answers of an archive, and models that a server sends."""
    server = serve(origin)
    sound = dff_recording(origin / "beside_answers.nwb", simulated_dff(4, 200))

    def make(place: Path, rng: np.random.Generator, number: int, _: int) -> Case:
        if number % 4 == 3:
            name, registry = damaged_model(server, place, rng)
            return Case("answers", ("models", "fetch", name, "--registry", str(registry), "--overwrite"), str(registry))
        address = damage_answers(server, rng)
        words: tuple[str, ...] = (
            ("inspect", "--json"),
            ("infer", "--dry-run", "--json", "-o", f"{place / 'out'}/"),
            ("archive", "plan", "-o", str(place / "manifest.jsonl")),
        )[number % 4]
        return Case("answers", (*words, str(sound), address), str(place / "answers"), str(sound))

    return make


KINDS: dict[str, Callable[[Path], Maker]] = {
    "hdf5": hdf5,
    "zarr": zarr,
    "bundle": bundle,
    "cascade": cascade,
    "manifest": manifest,
    "registry": registry,
    "answers": answers,
}
ORDER = ("hdf5", "zarr", "hdf5", "bundle", "hdf5", "cascade", "hdf5", "manifest", "hdf5", "registry", "answers")


def judged(case: Case, stdout: str) -> str:
    """Say what is wrong with the result of a command that ended well; empty if nothing is."""
    if case.kind not in ("hdf5", "zarr", "answers") or case.words[0] == "models":
        return ""
    if case.words[0] == "archive":
        manifest = Path(case.words[case.words.index("-o") + 1])
        if case.kind == "answers" and not manifest.exists():
            return ""  # what an address means is not known then, and a plan of the rest is not what was asked for
        records = [json.loads(line) for line in manifest.read_text().splitlines()[1:]]
        if not any(record["address"] == case.sound and "id" in record for record in records):
            return "sound file is not done"
        return "unclear" if any("Its header cannot be read:" in str(record) for record in records) else ""
    if case.kind == "answers" and not stdout:
        return ""
    of_file = {record["path"]: record for record in json.loads(stdout)}
    if "error" in of_file[case.sound]:
        return "sound file is not done"
    kinds = [str(record.get("error", "")).split(":")[0] for record in of_file.values()]
    return next((f"unclear: {kind}" for kind in kinds if kind.endswith("Error")), "")


def environment(folder: Path) -> dict[str, Any]:
    """Variables that keep what is installed and fetched within a folder."""
    return {
        "NWB_CASCADE_MODELS": str(folder / "models"),
        "NWB_CASCADE_CACHE": str(folder / "cache"),
        "CUDA_VISIBLE_DEVICES": "",
        "DANDI_NO_ET": "1",
    }
