"""Files of landmarks as motion: of every kind that is known, and what is refused."""
from __future__ import annotations

import json

import numpy as np
import pytest

from geneface.cli.main import run
from geneface.errors import UserError
from geneface.face.arkit import index
from geneface.face.basis import load_basis
from geneface.face.solve import arkit_residual
from geneface.formats import read_motion

FRAMES = 40


def talk() -> np.ndarray:
    time, weights = np.arange(FRAMES), np.zeros((FRAMES, 52), np.float32)
    for name, period, most in (("jawOpen", 9, 0.5), ("mouthPucker", 23, 0.5), ("eyeBlinkLeft", 31, 0.9),
                               ("eyeBlinkRight", 31, 0.9)):
        weights[:, index(name)] = most * np.clip(np.sin(2 * np.pi * time / period), 0, 1)
    return weights


def person() -> np.ndarray:
    """[T,68,3] landmarks of a talking stranger in head space [m]."""
    basis = load_basis()
    identity = np.random.default_rng(1).normal(size=basis.components).astype(np.float32)
    return basis.landmarks68(talk(), identity)


def jaw(motion) -> float:
    return float(np.corrcoef(motion.expression[:, index("jawOpen")], talk()[:, index("jawOpen")])[0, 1])


def test_canonical_landmarks_come_back_exactly(tmp_path):
    points = load_basis().landmarks68(talk())
    np.savez(tmp_path / "m.npz", landmarks=points, fps=30.0)
    motion = read_motion(tmp_path / "m.npz")
    assert motion.fps == 30 and np.array_equal(motion.landmarks, points) and motion.head_pose is None
    assert np.abs(motion.expression - talk()).max() < 0.05 and jaw(motion) > 0.9999
    assert arkit_residual(motion) < 1e-4 and motion.history == ("read m.npz (landmarks)",)


@pytest.mark.parametrize("kind", ["metres", "y up, mm, flat", "idexp_lm3d"])
def test_a_strangers_landmarks(tmp_path, kind):
    points = person()
    if kind == "y up, mm, flat":
        points = (points * [1, -1, -1] * 1000 + 50).reshape(FRAMES, 204)
    if kind == "idexp_lm3d":
        points = (points - load_basis().landmarks68(None)) * [1, -1, -1] * 100
    np.save(tmp_path / "m.npy", points)
    motion = read_motion(tmp_path / "m.npy", 25.0)
    assert jaw(motion) > 0.98 and arkit_residual(motion) < 0.02
    # On the mean head, with the stranger's movements.
    wanted = load_basis().landmarks68(talk())
    moves = (motion.landmarks - motion.landmarks.mean(0))[:, 48:] - (wanted - wanted.mean(0))[:, 48:]
    assert np.sqrt((moves**2).sum(-1).mean()) < 0.001
    assert np.linalg.norm(motion.landmarks.mean(0) - wanted.mean(0), axis=-1).max() < 0.012


def image() -> np.ndarray:
    """[T,478,2] landmarks of a head in the middle of 640 x 480 pixels."""
    points = load_basis().landmarks478(None, talk()).astype(np.float64)
    return 1500 * points[..., :2] / (points[..., 2:] + 0.9) + [320, 240]


def test_image_landmarks_in_pixels_and_in_shares(tmp_path):
    np.savez(tmp_path / "pixels.npz", landmarks=image(), fps=25)
    pixels = read_motion(tmp_path / "pixels.npz")
    assert jaw(pixels) > 0.97 and pixels.head_pose.shape == (FRAMES, 4, 4) and 0 < arkit_residual(pixels) < 0.01
    shares = np.concatenate([image()[:, :468] / [640, 480], np.full((FRAMES, 468, 1), np.pi)], -1)
    np.savez(tmp_path / "shares.npz", landmarks=shares, fps=25, width=640, height=480)
    assert jaw(read_motion(tmp_path / "shares.npz")) > 0.97
    np.save(tmp_path / "shares.npy", shares)
    with pytest.raises(UserError, match="in shares of an image of unknown shape"):
        read_motion(tmp_path / "shares.npy", 25.0)


def test_frame_rates_are_the_files_or_given(tmp_path, capsys):
    np.save(tmp_path / "m.npy", load_basis().landmarks68(talk()))
    assert run(["export", str(tmp_path / "m.npy"), "-o", str(tmp_path / "o.npz")]) == 2
    line = capsys.readouterr().err.strip()
    assert "says no frame rate" in line and "--fps 25" in line and "\n" not in line
    assert run(["export", str(tmp_path / "m.npy"), "-o", str(tmp_path / "o.npz"), "--fps", "50", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["fps"], result["frames"]) == (50, FRAMES) and result["arkit_residual"] < 1e-4


def hostile(name: str, path) -> None:
    points = person() + 1e-4 * np.random.default_rng(0).normal(size=(FRAMES, 68, 3))
    if name == "objects":
        np.save(path, np.array([{"lm3d": 1}], object), allow_pickle=True)
    elif name == "cut off":
        np.save(path, points)
        path.write_bytes(path.read_bytes()[:2000])
    elif name == "claims too much":
        np.save(path, points)
        path.write_bytes(path.read_bytes().replace(b"(40, 68, 3), ", b"(9999999999, 68, 3), ".ljust(13))[:4000])
    elif name == "junk":
        path.write_bytes(b"junk" * 99)
    else:
        if name in ("nan", "huge", "spot"):
            points[7] = {"nan": np.nan, "huge": 1e30, "spot": 0.3}[name]
        changed = {"shape": np.zeros((5, 70, 3)), "empty": np.zeros((0, 68, 3)), "text": np.array(["a"] * 204),
                   "noise": 30 * np.random.default_rng(0).normal(size=(20, 68, 3)),
                   "normalised": (points - points.mean(0)) / points.std(0), "long": np.zeros((40000, 68, 3), "i1")}
        np.save(path, changed.get(name, points))


@pytest.mark.parametrize("name, message", [
    ("objects", "not a readable file of landmarks"), ("cut off", "not a readable file of landmarks"),
    ("claims too much", "not a readable file of landmarks"), ("junk", "not a readable file of landmarks"),
    ("nan", "in frame 7"), ("huge", "in frame 7"), ("spot", "frame 7 holds no face"), ("shape", "has shape"),
    ("empty", "has 0 frames"), ("text", "not a readable file of landmarks"), ("noise", "neither faces"),
    ("normalised", "divided by their own deviation"), ("long", "cut it to parts"),
])
def test_what_is_no_motion_is_one_line(tmp_path, name, message):
    path = tmp_path / "m.npy"
    hostile(name, path)
    with pytest.raises(UserError, match=message) as error:
        read_motion(path, 25.0)
    assert "\n" not in str(error.value) and str(error.value).startswith(str(path))


@pytest.mark.parametrize("fps", [-1.0, 0.0, np.nan, 1e9])
def test_wrong_frame_rates_are_one_line(tmp_path, fps):
    np.savez(tmp_path / "m.npz", lm3d=person(), fps=fps)
    with pytest.raises(UserError, match="frames per second"):
        read_motion(tmp_path / "m.npz")


def test_an_image_of_half_a_size_is_one_line(tmp_path):
    np.savez(tmp_path / "m.npz", landmarks=image(), fps=25, width=640)
    with pytest.raises(UserError, match="both of them"):
        read_motion(tmp_path / "m.npz")
