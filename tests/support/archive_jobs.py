"""Jobs and manifests for tests: for files on disk, or for nothing at all."""

from __future__ import annotations

from pathlib import Path

from nwb_cascade.archive.listing import local_source
from nwb_cascade.archive.manifest import Header, Job, Skipped, job_id, write_manifest
from nwb_cascade.models.library import BUNDLED_FOLDER

MODEL = "conditional-1-120Hz"


def made_up_job(number: int = 0, **changes: object) -> Job:
    """A job whose file does not exist."""
    values: dict[str, object] = {
        "address": f"/data/sub-{number}.nwb",
        "content_id": f"content {number}",
        "source": {"kind": "file", "address": f"/data/sub-{number}.nwb", "content_id": f"content {number}"},
        "model": MODEL,
        "model_sha256": "ab" * 32,
        "parameters": {"threshold": "raw"},
        **changes,
    }
    identifier = job_id(values["content_id"], values["model_sha256"], values["parameters"])  # type: ignore[arg-type]
    return Job(id=identifier, **values)  # type: ignore[arg-type]


def file_job(path: Path, **changes: object) -> Job:
    """A job for a recording on disk with the bundled model."""
    source = local_source(path)
    values = {
        "address": str(path),
        "content_id": source["content_id"],
        "source": source,
        "model_sha256": (BUNDLED_FOLDER / MODEL / "SHA256SUMS").read_text().split("  weights")[0].split()[-1],
        "parameters": {},
    }
    return made_up_job(**(values | changes))


def manifest_of(path: Path, *records: Job | Skipped) -> Path:
    """Write a manifest."""
    header = Header(("/data",), "auto", {MODEL: "ab" * 32}, {}, "2026-01-01T00:00:00+00:00")
    return write_manifest(path, header, records)
