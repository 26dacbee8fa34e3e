"""Every reader of motion files against files that are damaged or made to harm: one line, in bounded memory and time.

The formats come from the table, so a new one is tried without a line here. What a mutation leaves readable must be a
motion that is whole: a flipped bit in a weight is another weight.
"""
from __future__ import annotations

import base64
import json
import os
import re
import resource
import signal
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from geneface.errors import UserError
from geneface.face.arkit import ARKIT_NAMES
from geneface.face.motion import motion_from_weights
from geneface.face.pose import poses_of_angles
from geneface.formats import FORMATS, WriteOptions, format_of, read_motion, write_motion
from geneface.guard import MAX_FPS, MAX_FRAMES
from geneface.types import MotionSequence

DEPTH = int(os.environ.get("GENEFACE_FUZZ", "1"))
# USD is read in a process of its own, which takes a second: its own tests damage its files, and these on demand.
READ = [format for format in FORMATS if format.reads and format.endings and (format.name != "usd" or DEPTH > 1)]
CPU_SECONDS = 60 * DEPTH
"""So much processor time [s] a test may take before it counts as hung: a hundred times what it needs."""
MEMORY_KB = 600_000
"""How far the process may grow in a test."""
NUMBERS = [b"NaN", b"Infinity", b"-1", b"0", b"1e999", b"1e9", b"-1e30", b"9" * 30, b"9" * 4000, b"", b"abc", b"null",
           b"[]"]
LAUGHS = ('<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "ha">' + "".join(
    f'<!ENTITY {chr(c + 1)} "{f"&{chr(c)};" * 10}">' for c in range(ord("b"), ord("m"))) + "]><a>&m;</a>").encode()
JUNK = {
    "empty": b"", "one byte": b"\x00", "zeros": bytes(100_000), "ones": b"\xff" * 100_000, "text": b"hello\n" * 1000,
    "no UTF-8": b"\xc3\x28" * 100, "utf-16": "HIERARCHY {}".encode("utf-16"), "laughs": LAUGHS,
    "nested": b"[" * 100_000, "nested objects": b'{"a":' * 100_000, "braces": b"{" * 100_000,
    "one line": b"a" * 1_000_000,
    "lines": b"\n" * 1_000_000, "commas": b"," * 1_000_000, "quotes": b'"' * 100_001, "null": b"null", "object": b"{}",
    "list": b"[]",
}


def take(frames: int = 8) -> MotionSequence:
    random = np.random.default_rng(5)
    motion = motion_from_weights(random.uniform(0, 1, (frames, 52)), 25, "test", head_pose=poses_of_angles(
        random.uniform(-0.3, 0.3, (frames, 3)), random.uniform(-0.01, 0.01, (frames, 3))))
    return replace(motion, words=((0.0, 0.1, "a"), (0.1, 0.2, "b")))


def write_landmarks(path: Path) -> None:
    """What `write_motion` cannot write: landmarks alone."""
    if path.suffix == ".npy":
        np.save(path, take().landmarks)
    else:
        np.savez(path, landmarks=take().landmarks, fps=25.0)


@dataclass(frozen=True)
class Sample:
    """A file of a motion, and its ending. slow: reading it takes long, so that fewer mutations are tried."""

    ending: str
    data: bytes
    slow: bool

    def tries(self, most: int) -> int:
        """How many mutations are tried. GENEFACE_FUZZ=20 tries 20 times as many."""
        return max(4, DEPTH * most // (20 if self.slow else 1))


# A reader is tried once: files of vrma-perfect-sync are those of vrma in another order.
KINDS = [(format, ending) for format in READ for ending in format.endings
         if ending != ".usd" and format_of(Path(f"a{ending}")) is format] + [(format_of(Path("a.npy")), ".npz")]


@pytest.fixture(scope="module", params=KINDS, ids=lambda param: param[0].name + param[1])
def sample(request, tmp_path_factory) -> Sample:
    format, ending = request.param
    path = tmp_path_factory.mktemp(format.name) / f"a{ending}"
    try:
        if format.writes:
            write_motion(take(), path, WriteOptions(format=format.name))
        else:
            write_landmarks(path)
    except UserError as error:
        pytest.skip(str(error))
    data = path.read_bytes()
    return Sample(ending, data, len(data) > 200_000 or format.name == "landmarks")


@pytest.fixture(autouse=True)
def bounded():
    """Fails a test that hangs or takes far more memory than its files are worth."""
    def hung(*_):
        raise TimeoutError(f"more than {CPU_SECONDS} s of processor time")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    previous = signal.signal(signal.SIGPROF, hung)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, previous)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_KB


def read(path: Path, data: bytes) -> MotionSequence | None:
    """The motion in `data`, checked to be whole; None where it is refused, checked to be so in one line."""
    path.write_bytes(data)
    try:
        motion = read_motion(path, 25.0)
    except UserError as error:
        message = str(error)
        assert path.name in message and "\n" not in message and "\r" not in message and len(message) < 600, message
        return None
    assert 0 < len(motion) <= MAX_FRAMES and 0 < motion.fps <= MAX_FPS
    for values in (motion.landmarks, motion.expression, motion.blink, motion.gaze, motion.head_pose):
        assert values is None or np.isfinite(values).all()
    assert -1 <= motion.expression.min() <= motion.expression.max() <= 2
    return motion


def test_the_sample_is_a_motion(sample, tmp_path):
    ending, data = sample.ending, sample.data
    motion = read(tmp_path / f"a{ending}", data)
    assert motion is not None and len(motion) == 8 and motion.fps == 25


def test_cut_files_are_refused(sample, tmp_path):
    ending, data = sample.ending, sample.data
    step = max(1, len(data) // sample.tries(100))
    for length in [*range(0, min(32, len(data))), *range(32, len(data) - 1, step)]:
        motion = read(tmp_path / f"a{ending}", data[:length])
        # A table is whole after any of its lines, and a number that ends a file is another where it is cut.
        assert motion is None or ending == ".csv" or re.fullmatch(rb"[\w.]*\s*", data[length:]), length


def test_flipped_bits_never_pass_for_a_defect(sample, tmp_path):
    ending, data = sample.ending, sample.data
    random = np.random.default_rng(6)
    # Where files say what they hold, at their start and end, flips do the most.
    edge = min(len(data), 600)
    places = np.concatenate([
        random.integers(0, len(data), sample.tries(150)), random.integers(0, edge, sample.tries(120)),
        len(data) - 1 - random.integers(0, edge, sample.tries(60))])
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(random.integers(8))
        read(tmp_path / f"a{ending}", bytes(flipped))


def test_shuffled_and_overwritten_parts(sample, tmp_path):
    ending, data = sample.ending, sample.data
    random = np.random.default_rng(7)
    for _ in range(sample.tries(60)):
        start, end = sorted(random.integers(0, len(data), 2))
        length = min(end - start, 400)
        for other in (data[:start] + data[start + length:], data[:start] + data[start:start + length] + data[start:],
                      data[:start] + b"\xff" * length + data[start + length:],
                      data[:start] + struct.pack("<f", np.nan) * (length // 4) + data[start + length // 4 * 4:]):
            read(tmp_path / f"a{ending}", other)


def numbers_changed(data: bytes, tries: int) -> Iterator[bytes]:
    """Text with one of its numbers made another, in places spread over the file but not within its base64."""
    hidden = re.sub(rb"base64,[A-Za-z0-9+/=]+", lambda match: b"." * len(match[0]), data)
    found = list(re.finditer(rb"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?", hidden))
    random = np.random.default_rng(8)
    early = [match for match in found if match.start() < 3000]
    for i in range(tries):
        match = (early if i % 2 and early else found)[int(random.integers(len(early if i % 2 and early else found)))]
        yield data[:match.start()] + NUMBERS[i % len(NUMBERS)] + data[match.end():]


def test_numbers_that_none_has(sample, tmp_path):
    ending, data = sample.ending, sample.data
    if ending == ".glb":
        length = struct.unpack("<I", data[12:16])[0]
        texts = [glb(text, data[20 + length:]) for text in numbers_changed(data[20:20 + length], sample.tries(300))]
    elif b"\x00" in data:
        pytest.skip("not text; its numbers are changed by the tests of its own")
    else:
        texts = list(numbers_changed(data, sample.tries(300)))
    for text in texts:
        read(tmp_path / f"a{ending}", text)


def glb(text: bytes, rest: bytes) -> bytes:
    """A GLB of that JSON and the chunks after it."""
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sIIII", b"glTF", 2, 20 + len(text) + len(rest), len(text), 0x4E4F534A) + text + rest


@pytest.mark.parametrize("format", READ, ids=lambda format: format.name)
@pytest.mark.parametrize("junk", JUNK)
def test_junk_is_refused(format, junk, tmp_path):
    assert read(tmp_path / f"a{format.endings[0]}", JUNK[junk]) is None


def test_files_of_another_ending_are_refused(sample, tmp_path):
    ending, data = sample.ending, sample.data
    kin = ({".glb", ".gltf", ".vrm", ".vrma"}, {".usda", ".usd", ".usdc", ".usdz"})
    for format in READ:
        if ending not in format.endings and not any({ending, format.endings[0]} <= endings for endings in kin):
            assert read(tmp_path / f"a{format.endings[0]}", data) is None, format.name


@pytest.mark.parametrize("format", READ, ids=lambda format: format.name)
def test_what_is_no_file_is_refused(format, tmp_path):
    path = tmp_path / f"a{format.endings[0]}"
    with pytest.raises(UserError, match="no such file"):
        read_motion(path)
    path.mkdir()
    with pytest.raises(UserError) as refused:
        read_motion(path)
    assert path.name in str(refused.value) and "\n" not in str(refused.value)
    loop = tmp_path / f"loop{format.endings[0]}"
    loop.symlink_to(loop)
    with pytest.raises(UserError):
        read_motion(loop)


@pytest.mark.parametrize("fps", ["0", "-1", "-25", "NaN", "1e9", "1e999", '"25"', "null", "[]", "1e-320"])
def test_wrong_rates_of_json(fps, tmp_path):
    text = f'{{"fps": {fps}, "names": {json.dumps(ARKIT_NAMES)}, "weights": [{[0.0] * 52}, {[0.5] * 52}]}}'
    motion = read(tmp_path / "a.json", text.encode())
    assert motion is None or fps in ('"25"', "1e-320")


@pytest.mark.parametrize("uri", [
    "../secret.bin", "/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:9/a.bin", "..%2Fsecret.bin",
    "a/../../secret.bin", "\\\\host\\a.bin", "C:\\a.bin", "data:;base64,####", "a\x00b.bin", "a\nb.bin"])
def test_buffers_elsewhere_are_not_opened(uri, tmp_path):
    data = struct.pack("<4f", 0, 0.04, 0, 1)
    (tmp_path / "secret.bin").write_bytes(data)
    folder = tmp_path / "inside"
    folder.mkdir()
    content = {
        "asset": {"version": "2.0"}, "buffers": [{"byteLength": 16, "uri": uri}], "nodes": [{"mesh": 0}],
        "bufferViews": [{"buffer": 0, "byteLength": 16}],
        "accessors": [{"bufferView": 0, "byteOffset": at, "componentType": 5126, "count": 2, "type": "SCALAR"}
                      for at in (0, 8)],
        "meshes": [{"primitives": [{"attributes": {}, "targets": [{}]}], "extras": {"targetNames": ["jawOpen"]}}],
        "animations": [{"samplers": [{"input": 0, "output": 1}],
                        "channels": [{"sampler": 0, "target": {"node": 0, "path": "weights"}}]}],
    }
    assert read(folder / "a.gltf", json.dumps(content).encode()) is None
    content["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
    assert read(folder / "a.gltf", json.dumps(content).encode()) is not None


def test_heads_of_strangers(tmp_path):
    if not any(format.name == "glb" for format in FORMATS):
        pytest.skip("no glb")
    write_motion(take(2), tmp_path / "head.glb")
    data = (tmp_path / "head.glb").read_bytes()
    length = struct.unpack("<I", data[12:16])[0]
    damaged = [data[:cut] for cut in range(0, len(data), len(data) // 6)]
    damaged += [glb(text, data[20 + length:]) for text in numbers_changed(data[20:20 + length], 20 * DEPTH)]
    for other in damaged:
        (tmp_path / "head.glb").write_bytes(other)
        try:
            write_motion(take(2), tmp_path / "b.glb", WriteOptions(head=tmp_path / "head.glb"))
        except UserError as error:
            assert "\n" not in str(error)
