"""A small talking motion, and a stand-in for three.js, which tests of what a page holds do not need."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geneface import assets
from geneface.face.arkit import indices
from geneface.face.basis import load_basis
from geneface.face.pose import poses_of_angles
from geneface.media import write_wav
from geneface.types import MotionSequence

FRAMES, FPS, OPEN = 12, 25.0, 6


def make_motion(frames: int = FRAMES, fps: float = FPS, jaw: float = 0.6) -> MotionSequence:
    """The jaw opens up to the middle frame and closes again, once; the eyes blink at the end; the head turns."""
    swing = np.sin(np.pi * np.arange(frames) / max(frames - 1, 1))
    expression = np.zeros((frames, 52), np.float32)
    expression[:, indices("jawOpen")] = (jaw * swing)[:, None]
    expression[-2:, indices("eyeBlink*")] = 1
    angles = np.stack([0.2 * swing, -0.1 * swing, np.zeros(frames)], 1)
    return MotionSequence(
        load_basis().landmarks68(expression), expression, expression[:, indices("eyeBlinkLeft")[0]],
        np.tile(np.float32([0.1, -0.05]), (frames, 1)), fps, "test", poses_of_angles(angles),
        words=((0.0, 0.2, "hello"),), history=("speak talk.wav",),
    )


@pytest.fixture
def motion() -> MotionSequence:
    return make_motion()


@pytest.fixture
def motion_file(tmp_path, motion) -> Path:
    motion.save(tmp_path / "take.npz")
    return tmp_path / "take.npz"


@pytest.fixture
def sound_file(tmp_path) -> Path:
    """A fifth of a second of silence, then as much of a tone: shorter than the motion."""
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(3200) / 16000)
    write_wav(tmp_path / "talk.wav", np.concatenate([np.zeros(3200), tone]).astype(np.float32), 16000)
    return tmp_path / "talk.wav"


@pytest.fixture
def no_three(tmp_path, monkeypatch) -> bytes:
    """What the page has instead of three.js."""
    stand_in = b"export const REVISION = 'none';"
    file = tmp_path / "three.js"
    file.write_bytes(stand_in)
    monkeypatch.setattr(assets, "path", lambda name: {"three": file}[name])
    return stand_in
