"""What the tests of streaming share: files on the server, and what was asked of them."""

from dataclasses import replace

from nwb_cascade.dandi.link import RetryPolicy
from nwb_cascade.dandi.ranges import total, union

HASTY = RetryPolicy(attempts=3, first_wait_s=0.0, longest_wait_s=0.0)
PATIENT = replace(HASTY, attempts=20)  # for faults by chance: which request they hit depends on threads and paths


def publish(archive, server, content, path="sub-1/sub-1_ophys.nwb"):
    """Put a file into the open dandiset and return its address."""
    archive.dandisets["000001"].add(path, content)
    return f"dandi://{server.url.removeprefix('http://')}/000001@draft/{path}"


def fetched(server):
    """Byte ranges that storage requests without faults delivered."""
    served = server.served("^/(blobs|zarr)/")
    return [(s.first_byte, s.first_byte + s.n_bytes) for s in served if s.n_bytes]


def fetched_twice(server):
    """Bytes that were delivered more than once."""
    ranges = fetched(server)
    return sum(stop - start for start, stop in ranges) - total(union(ranges))
