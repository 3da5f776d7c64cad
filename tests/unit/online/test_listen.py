"""Listening: messages, oddities that are said once, sockets, and a file that is whole whenever it is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from nwb_cascade.errors import InputError
from nwb_cascade.online.growing_nwb import GrowingNwb
from nwb_cascade.online.inference import OnlineInference, OnlineOptions
from nwb_cascade.online.messages import Frame, read_frame, read_result, result_message
from nwb_cascade.online.session import Session
from tests.support.online_models import online_model

RATE = 30.0
MODEL = online_model()
DFF = np.random.default_rng(0).normal(0, 0.2, (60, 3)).astype(np.float32)


def inference(n_rois=3, look_ahead_s=2 / RATE):
    return OnlineInference(
        n_rois, RATE, model=MODEL, look_ahead_s=look_ahead_s, options=OnlineOptions(smoothing_s=0.03)
    )


def taken(session, frames, *, per_s=RATE):
    """All that frames give, copied."""
    found = [one for at, frame in enumerate(frames) for one in map(copied, session.take(frame, now_s=at / per_s))]
    return {one[0]: one[1] for one in found}


def copied(told):
    return told.frame, told.rates.copy()


def plain(frames=DFF):
    return [Frame(values) for values in frames]


def test_messages_are_read_back():
    frame = read_frame([b'{"frame": 7, "time_s": 0.25, "add_rois": 2}', DFF[0].tobytes(), DFF[1].tobytes()])
    assert (frame.number, frame.time_s, frame.add_rois, frame.end) == (7, 0.25, 2, False)
    assert np.array_equal(frame.values, DFF[0])
    assert np.array_equal(frame.neuropil, DFF[1])
    assert read_frame([b""]).values is None
    header, rates = read_result(result_message(3, 5, DFF[:2], {"why": 1}))
    assert header == {"frame": 3, "of_frame": 5, "shape": [2, 3], "missing": {"why": 1}}
    assert np.array_equal(rates, DFF[:2])


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([b"abc"], "float32 values, 4 bytes per ROI, received 3 bytes"),
        ([b"no", b""], "JSON object as the first of several parts"),
        ([b"[]", b""], "JSON object as the first of several parts"),
        ([b'{"add_rois": -1}', b""], "add_rois as a whole number"),
        ([b'{"frame": "x"}', b""], "frame as a finite number, received 'x'"),
        ([], "1 to 3 parts"),
    ],
)
def test_a_message_that_cannot_be_read_says_what_was_expected(parts, message):
    with pytest.raises(InputError, match=message):
        read_frame(parts)


def test_frames_that_are_late_missing_or_of_another_length_are_said_once_and_change_no_other():
    said = []
    session = Session(inference(), say=said.append)
    whole = taken(Session(inference()), plain())
    odd = [Frame(values, number=at) for at, values in enumerate(DFF)]
    del odd[30:33]
    odd.insert(20, Frame(DFF[5], number=5))
    odd.insert(40, Frame(DFF[6], number=6))
    odd[10] = Frame(DFF[10, :2], number=10)
    odd[12] = Frame(DFF[12, :2], number=12)
    found = taken(session, odd)
    assert sorted(found) == sorted(whole)
    assert np.isnan([found[at] for at in (10, 12, 30, 31, 32)]).all()
    assert np.array_equal([found[at] for at in range(8)], [whole[at] for at in range(8)], equal_nan=True)
    assert np.isfinite([found[at] for at in range(33, 57)]).all()
    assert [sentence.split()[0] for sentence in said] == ["Expected", "Frame", "3"]


def test_a_clock_that_jumps_leaves_a_gap_of_that_length():
    said = []
    session = Session(inference(), say=said.append)
    times = np.arange(60) / RATE + 100.0
    times[30:] += 1.0
    found = taken(session, [Frame(values, time_s=at) for at, values in zip(times, DFF, strict=True)])
    assert max(found) == 60 + 30 - 1 - 2
    assert said == ["30 frames before frame 60 did not come: told as missing."]


def test_a_producer_that_is_too_fast_and_minutes_without_values_are_said_once():
    said = []
    session = Session(inference(), say=said.append)
    taken(session, [Frame(DFF[0])] * 200, per_s=3 * RATE)
    taken(session, [Frame(np.full(3, np.nan, np.float32))] * 2000)
    assert len(said) == 2
    assert said[0].startswith("Frames come faster than 30 Hz")
    assert said[1].startswith("No ROI has had a value for 60 s")


def test_rois_come_along_by_the_header():
    session = Session(inference())
    found = taken(
        session, [*plain(DFF[:10]), Frame(np.zeros(5, np.float32), add_rois=2), Frame(np.zeros(5, np.float32))]
    )
    assert found[9].shape == (5,)


def read_rates(path):
    """Rates (n_frames, n_rois), start (s) and bounds of a file, after its own validation."""
    import ndx_spike_inference  # noqa: F401
    from pynwb import NWBHDF5IO, validate

    assert not validate(path=str(path))
    with NWBHDF5IO(str(path), "r") as io:
        series = io.read().processing["ophys"]["expected_spikes"]
        return series.data[:], series.starting_time, series.valid_frames[:]


def test_the_file_holds_every_frame_at_its_place_and_new_rois_begin_another(tmp_path):
    online = inference()
    session, growing = Session(online), GrowingNwb(tmp_path / "out.nwb", online, flush_s=0.5)
    wanted = {}
    frames = [*plain(DFF[:50]), Frame(np.zeros(4, np.float32), add_rois=1), *[Frame(np.zeros(4, np.float32))] * 9]
    for frame in frames:
        for one in session.take(frame, now_s=0.0):
            wanted[one.frame] = one.rates.copy()
            growing.append(one)
    for one in session.flushed():
        wanted[one.frame] = one.rates.copy()
        growing.append(one)
    growing.close()
    rates, start, bounds = read_rates(tmp_path / "out.nwb")
    assert np.array_equal(rates, [wanted[at] for at in range(48)], equal_nan=True)
    assert start == 0.0
    assert bounds.tolist() == [[0, 48]] * 3
    later, start, _ = read_rates(tmp_path / "out_2.nwb")
    assert np.array_equal(later, [wanted[at] for at in range(48, 60)], equal_nan=True)
    assert start == pytest.approx(48 / RATE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.nwb", "out_2.nwb"]
    with pytest.raises(InputError, match=r"out.nwb exists already; it is not replaced"):
        GrowingNwb(tmp_path / "out.nwb", online)


COMMAND = [
    sys.executable,
    "-c",
    "from nwb_cascade.cli import main; main()",
    "listen",
    "--rois",
    "3",
    "--rate",
    "30",
    "--indicator",
    "jGCaMP8m",
]


def started(tmp_path, *options):
    """The command on sockets of its own, ready; (process, address of frames, address of results)."""
    zmq = pytest.importorskip("zmq")
    frames, spikes = f"ipc://{tmp_path}/f", f"ipc://{tmp_path}/s"
    process = subprocess.Popen(
        [*COMMAND, "--frames", frames, "--spikes", spikes, *options],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert "Listening for 3 ROIs" in process.stderr.readline()
    context = zmq.Context()
    push, sub = context.socket(zmq.PUSH), context.socket(zmq.SUB)
    push.connect(frames)
    sub.connect(spikes)
    sub.subscribe(b"spikes")
    sub.setsockopt(zmq.RCVTIMEO, 60_000)
    return process, context, push, sub


def test_the_command_gives_what_the_inference_gives_and_outlives_its_consumer(tmp_path):
    process, context, push, sub = started(tmp_path)
    time.sleep(0.5)
    for values in DFF[:40]:
        push.send_multipart([b"{}", values.tobytes()])
    found = [read_result(sub.recv_multipart()) for _ in range(37)]
    sub.close()
    for values in DFF[40:]:
        push.send(values.tobytes())
    push.send_multipart([json.dumps({"end": True}).encode(), b""])
    out, err = process.communicate(timeout=60)
    context.destroy()
    assert process.returncode == 0, err
    assert out.startswith("61 frames; time per frame: median")
    online = OnlineInference(3, RATE, indicator="jGCaMP8m")
    wanted = [online.push(values).copy() for values in DFF[:40]][3:]
    assert [header["frame"] for header, _ in found] == list(range(37))
    assert np.array([rates for _, rates in found]) == pytest.approx(np.array(wanted), abs=1e-6)


def test_a_killed_command_leaves_a_whole_file(tmp_path):
    process, context, push, sub = started(tmp_path, "--nwb", str(tmp_path / "live.nwb"))
    time.sleep(0.5)
    stop = threading.Event()

    def produce():
        rng = np.random.default_rng(1)
        while not stop.is_set():
            push.send(rng.normal(0, 0.2, 3).astype(np.float32).tobytes())
            time.sleep(0.0005)

    producer = threading.Thread(target=produce)
    producer.start()
    for _ in range(600):
        sub.recv_multipart()
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    stop.set()
    producer.join()
    context.destroy(linger=0)
    rates, _, bounds = read_rates(tmp_path / "live.nwb")
    assert len(rates) >= 150
    assert np.isfinite(rates).all()
    assert bounds[0].tolist() == [0, len(rates)]
