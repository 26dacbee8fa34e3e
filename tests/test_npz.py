"""Npz files of strangers: bombs, object arrays, absurd shapes and cut files are one line, before anything is unpacked."""
from __future__ import annotations

import io
import json
import tracemalloc
import zipfile

import numpy as np
import pytest

from geneface.errors import UserError
from geneface.types import MotionSequence

FRAMES = 4


def entries(**changes) -> dict[str, bytes]:
    """What an npz of a motion holds, with changes: arrays, raw bytes, or None to leave out."""
    header = {"type": "MotionSequence", "schema_version": 1,
              "scalars": {"fps": 25.0, "source": "test", "head_pose": None, "words": [], "history": []}}
    arrays = {
        "header": np.array(json.dumps(header)), "landmarks": np.zeros((FRAMES, 68, 3), np.float32),
        "expression": np.zeros((FRAMES, 52), np.float32), "blink": np.zeros(FRAMES, np.float32),
        "gaze": np.zeros((FRAMES, 2), np.float32),
    } | changes
    return {f"{name}.npy": npy(value) for name, value in arrays.items() if value is not None}


def npy(value) -> bytes:
    if isinstance(value, bytes):
        return value
    out = io.BytesIO()
    np.lib.format.write_array(out, value, allow_pickle=True)
    return out.getvalue()


def claims(shape: tuple, data: bytes = bytes(64), descr: str = "<f4") -> bytes:
    """An npy whose header claims `shape`."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": shape})
    return out.getvalue() + data


def packed(path, content: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def with_header(**changes) -> np.ndarray:
    header = json.loads(str(np.load(io.BytesIO(entries()["header.npy"]))))
    return np.array(json.dumps(header | changes))


def scalars(**changes) -> np.ndarray:
    header = json.loads(str(np.load(io.BytesIO(entries()["header.npy"]))))
    return with_header(scalars=header["scalars"] | changes)


def test_the_sample_is_read(tmp_path):
    assert len(MotionSequence.load(packed(tmp_path / "m.npz", entries()))) == FRAMES
    by_columns = np.asfortranarray(np.arange(FRAMES * 2, dtype=np.float32).reshape(FRAMES, 2))
    motion = MotionSequence.load(packed(tmp_path / "m.npz", entries(gaze=by_columns)))
    assert np.array_equal(motion.gaze, by_columns)


@pytest.mark.parametrize("changes, message", [
    ({"gaze": np.array([{}, []], object)}, "gaze: holds object, not numbers"),
    ({"gaze": np.zeros(FRAMES, [("a", "f4")])}, "not numbers"),
    ({"gaze": np.zeros((FRAMES, 2), complex)}, "not numbers"),
    ({"gaze": claims((10**15, 2))}, "gaze: is not as large as its shape"),
    ({"gaze": claims((-4, 2))}, "negative|not as large"),
    ({"gaze": claims((0, 10**30))}, "gaze"),
    ({"gaze": claims((4, 2), b"")}, "not as large"),
    ({"gaze": b"\x93NUMPY\x09\x09"}, "npy version"),
    ({"gaze": b""}, "not a readable MotionSequence"),
    ({"gaze": np.full((FRAMES, 2), np.nan, np.float32)}, "gaze: holds NaN"),
    ({"gaze": np.zeros((FRAMES, 2), "<U4")}, "gaze"),
    ({"gaze": None}, "gaze"),
    ({"expression": np.zeros((FRAMES + 1, 52), np.float32)}, "expression"),
    ({"../../etc/passwd": np.zeros(3)}, "unexpected keyword"),
    ({f"a{i}": np.zeros(1) for i in range(99)}, "more than 64"),
    ({"header": np.array("{")}, "not a readable"),
    ({"header": np.array("[1]")}, "its header is damaged"),
    ({"header": np.array("[" * 100_000)}, "not a readable"),
    ({"header": None}, "it has no header"),
    ({"header": with_header(type="a\nb" * 99)}, "expected a MotionSequence"),
    ({"header": with_header(schema_version=[1] * 99)}, "this version reads 1"),
    ({"header": with_header(scalars=None)}, "damaged"),
    ({"header": scalars(fps=0)}, "fps must be positive"),
    ({"header": scalars(fps="25")}, "damaged"),
    ({"header": scalars(fps=float("nan"))}, "fps must be positive"),
    ({"header": scalars(words=[[0, float("inf"), "a"]])}, "words"),
    ({"header": scalars(words=[1])}, "damaged"),
    ({"header": scalars(landmarks=[])}, "damaged"),
])
def test_damage_is_one_line(tmp_path, changes, message):
    path = packed(tmp_path / "m.npz", entries(**changes))
    with pytest.raises(UserError, match=message) as refused:
        MotionSequence.load(path)
    assert "\n" not in str(refused.value) and "m.npz" in str(refused.value) and len(str(refused.value)) < 400


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(MotionSequence, "max_bytes", 1 << 25)
    content = entries()
    content["gaze.npy"] = claims((1 << 23, 2), bytes(0))
    path = tmp_path / "m.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            with archive.open(name, "w") as file:
                file.write(data)
                if name == "gaze.npy":
                    for _ in range(4):
                        file.write(bytes(1 << 24))  # 64 MB of zeros in 64 kB
    assert path.stat().st_size < 2e5
    tracemalloc.start()
    with pytest.raises(UserError, match="its arrays take 67 MB, more than 34 MB"):
        MotionSequence.load(path)
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()


def test_entries_that_claim_less_than_they_hold_are_refused(tmp_path):
    path = packed(tmp_path / "m.npz", entries(gaze=np.zeros((1 << 16, 2), np.float32)))
    data = path.read_bytes()
    size = len(npy(np.zeros((1 << 16, 2), np.float32))).to_bytes(4, "little")
    assert data.count(size) == 2  # beside the entry, and in the list at the end
    path.write_bytes(data.replace(size, (192).to_bytes(4, "little")))
    with pytest.raises(UserError, match="gaze"):
        MotionSequence.load(path)


def test_other_packing_is_refused(tmp_path):
    with pytest.raises(UserError, match="packed in another way"):
        MotionSequence.load(packed(tmp_path / "m.npz", entries(), zipfile.ZIP_LZMA))


def test_cut_and_flipped_files_are_one_line(tmp_path):
    whole = packed(tmp_path / "whole.npz", entries()).read_bytes()
    path, random = tmp_path / "m.npz", np.random.default_rng(4)
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError) as refused:
            MotionSequence.load(path)
        assert "\n" not in str(refused.value)
    for place in random.integers(0, len(whole), 300):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(random.integers(8))
        path.write_bytes(flipped)
        try:
            MotionSequence.load(path)
        except UserError as error:
            assert "\n" not in str(error)
