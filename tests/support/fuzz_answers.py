"""What an archive and a server of models answer, damaged by chance: for `scripts/fuzz_files.py`."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.support.cascade_files import CascadeSpec, write_cascade_folder, zip_folder
from tests.support.dandi_content import Archive
from tests.support.dandi_routes import Request, Response, Routes
from tests.support.dandi_server import DandiServer
from tests.support.recordings import dff_recording, simulated_dff
from tests.support.text_damage import damage_bytes, damage_json, damage_text

PLACES = (
    r"/dandisets/\d+/$",
    r"/versions/$",
    r"/versions/[^/]+/$",
    r"/assets/$",
    r"/api/assets/[^/]+/$",
    r"/api/zarr/[^/]+/$",
    r"/files/$",
    r"^/blobs/",
    r"^/zarr/.*\.zmetadata$",
    r"^/zarr/",
)
BODIES = (b"", b"null", b"[]", b"{}", b"<html>out of order</html>", b"\xff\xfe", b"[" * 50_000, b'{"results": 3}')
STATUSES = (204, 301, 400, 404, 405, 410, 416, 418, 501)  # none that a client tries again after
MODEL_PATH = "/models/model.zip"
Damage = Callable[[Response], Response]


class DamagingRoutes(Routes):
    """Damages the answers to requests whose path matches."""

    pattern = re.compile("$^")
    damage: Damage = staticmethod(lambda response: response)
    model = b""

    def answer(self, request: Request) -> Response:
        """Answer one request, in a way that may be wrong."""
        if request.path == MODEL_PATH:
            return Response(200, self.model, {"Content-Type": "application/zip"})
        response = super().answer(request)
        return type(self).damage(response) if self.pattern.search(request.path) else response


def serve(origin: Path) -> DandiServer:
    """A server with a recording in HDF5 and one in Zarr, which runs as long as this process."""
    archive = Archive()
    dandiset = archive.add("000001")
    for name in ("a.nwb", "a.nwb.zarr"):
        dandiset.add(f"sub-1/{name}", dff_recording(origin / f"served_{name}", simulated_dff(4, 600)))
    dandiset.publish("0.240101.0001")
    server = DandiServer(archive, routes=DamagingRoutes)
    return server.__enter__()  # its thread ends with the process


def damage_of(rng: np.random.Generator) -> Damage:
    """One way to damage an answer; all the same for every answer."""
    way, seed = float(rng.random()), int(rng.integers(2**32))
    body, status = BODIES[int(rng.integers(len(BODIES)))], STATUSES[int(rng.integers(len(STATUSES)))]

    def damaged(response: Response) -> Response:
        own = np.random.default_rng(seed)
        if way < 0.15:
            return replace(response, status=status)
        if way < 0.35:
            return replace(response, body=body)
        if response.headers.get("Content-Type") != "application/json":
            return replace(response, body=damage_bytes(response.body, own))
        change = damage_json if way < 0.8 else damage_text
        return replace(response, body=change(response.body.decode(), own).encode(errors="surrogatepass"))

    return damaged


def damage_answers(server: DandiServer, rng: np.random.Generator) -> str:
    """Have the server damage some answers; returns the address of the recording that is asked for."""
    DamagingRoutes.pattern = re.compile(PLACES[int(rng.integers(len(PLACES)))])
    DamagingRoutes.damage = staticmethod(damage_of(rng))
    shutil.rmtree(os.environ["NWB_CASCADE_CACHE"], ignore_errors=True)
    version = ("", "@draft", "@0.240101.0001")[int(rng.integers(3))]
    path = ("", "/sub-1/", "/sub-1/a.nwb", "/sub-1/a.nwb.zarr")[int(rng.integers(4))]
    return f"dandi://{server.url.removeprefix('http://')}/000001{version}{path}"


def damaged_model(server: DandiServer, place: Path, rng: np.random.Generator) -> tuple[str, Path]:
    """Have the server send a damaged archive of a model; returns its name and a registry that states its hash."""
    write_cascade_folder(place / "model", CascadeSpec())
    content = zip_folder(place / "model", place / "model.zip").read_bytes()
    DamagingRoutes.model = damage_bytes(content, rng)
    digest = hashlib.sha256(DamagingRoutes.model).hexdigest()
    registry = place / "available.yaml"
    registry.write_text(f"{CascadeSpec().name}:\n  Link: {server.url}{MODEL_PATH}\n  SHA256: {digest}\n  Info: none\n")
    return CascadeSpec().name, registry
