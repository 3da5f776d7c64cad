"""Frames in by ZeroMQ, expected spikes out by ZeroMQ, and into an NWB file that grows."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from nwb_cascade.errors import InputError
from nwb_cascade.online.growing_nwb import GrowingNwb
from nwb_cascade.online.inference import OnlineInference
from nwb_cascade.online.messages import read_frame, result_message
from nwb_cascade.online.session import Session, Told

WAIT_MS = 200  # until it is looked whether to stop


@dataclass(frozen=True)
class Addresses:
    """Where frames come in (a PULL socket is bound there) and where results go out (a PUB socket is bound there)."""

    frames: str = "tcp://127.0.0.1:5555"
    spikes: str = "tcp://127.0.0.1:5556"


@dataclass(frozen=True)
class Heard:
    """What a session was: frames, and the time that they took, ms: median, 99th percentile and longest."""

    n_frames: int
    median_ms: float
    p99_ms: float
    longest_ms: float


def listen(
    inference: OnlineInference,
    addresses: Addresses | None = None,
    *,
    raw: bool = False,
    nwb: Path | None = None,
    state: Path | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Heard:
    """Infer what comes in until a message says that it was the last, or the process is told to stop.

    Parameters
    ----------
    inference : OnlineInference
        With one look-ahead.
    addresses : Addresses, optional
        Of the sockets.
    raw : bool
        Frames hold raw fluorescence, not dF/F.
    nwb : pathlib.Path, optional
        File that grows with the recording; it must not exist.
    state : pathlib.Path, optional
        File that holds all that is needed to go on, written at the end.
    say : callable
        Called with each sentence that a user should read.

    Raises
    ------
    ImportError
        If pyzmq is not installed.
    InputError
        If an address cannot be bound.
    """
    places = addresses or Addresses()
    session = Session(inference, raw=raw, say=say)
    with _sockets(places) as sockets, _stopping() as stop:
        growing = None if nwb is None else GrowingNwb(nwb, inference)
        say(f"Listening for {inference.n_rois} ROIs at {inference.imaging_rate:g} Hz on {places.frames}.")
        try:
            took = _hear(session, sockets, growing, stop)
            if state is not None:
                inference.save(state)
            if growing is not None:
                for one in session.flushed():
                    growing.append(one)
        finally:
            if growing is not None:
                growing.close()
    ms = 1000 * np.array(took or [np.nan])
    return Heard(len(took), float(np.median(ms)), float(np.percentile(ms, 99)), float(ms.max()))


def _hear(session: Session, sockets: tuple[Any, Any, Any], growing: GrowingNwb | None, stop: list[int]) -> list[float]:
    """Take messages in until the last; returns how long each took, s."""
    source, sink, poller = sockets
    took: list[float] = []
    ended = False
    while not (ended or stop):
        if not dict(poller.poll(WAIT_MS)):
            continue
        parts, began = source.recv_multipart(), time.perf_counter()
        try:
            frame = read_frame(parts)
            ended = frame.end
            told: Iterable[Told] = session.take(frame, now_s=began)
        except InputError as error:
            told = [session.missed(error)]
        for one in told:
            _send(sink, one)
            if growing is not None:
                growing.append(one)
        took.append(time.perf_counter() - began)
    return took


def _send(sink: Any, one: Told) -> None:
    """Publish a result; nobody who is slow or gone is waited for."""
    if one.frame >= 0:
        sink.send_multipart(result_message(one.frame, one.of_frame, one.rates, one.missing))


@contextmanager
def _sockets(addresses: Addresses) -> Iterator[tuple[Any, Any, Any]]:
    try:
        import zmq
    except ImportError as error:
        raise ImportError("Listening needs pyzmq: pip install 'nwb-cascade[online]'.") from error
    context = zmq.Context()
    source, sink, poller = context.socket(zmq.PULL), context.socket(zmq.PUB), zmq.Poller()
    try:
        _bind(source, addresses.frames)
        _bind(sink, addresses.spikes)
        poller.register(source, zmq.POLLIN)
        yield source, sink, poller
    finally:
        context.destroy(linger=500)


def _bind(socket: Any, address: str) -> None:
    import zmq

    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        raise InputError(
            f"Expected an address like tcp://127.0.0.1:5555 that is free, received {address}: {error}."
        ) from error


@contextmanager
def _stopping() -> Iterator[list[int]]:
    """A list that is no longer empty once the process was told to stop; the frame in hand is finished first."""
    stop: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        stop.append(number)

    signals = (signal.SIGINT, signal.SIGTERM)
    # Elsewhere than in the main thread none can be caught: whoever started it ends it by a message.
    caught = signals if threading.current_thread() is threading.main_thread() else ()
    before = {one: signal.signal(one, note) for one in caught}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
