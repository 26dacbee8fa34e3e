"""Everything that moves besides the speaking mouth: head, shoulders, gaze, blinks, brows and small smiles."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from geneface.face.arkit import index, indices

PIVOT = np.array([0.0, 0.115, 0.030])  # the head turns about the top of the neck [m, head frame]
_RATE = 200  # random curves are made at this rate, so that they do not depend on the frame rate [Hz]


@dataclass(frozen=True)
class Movement:
    """Curves of T frames.

    Attributes:
        head_to_body: [T,4,4] rigid head pose in the body frame [m].
        body_shift: [T,3] shift of shoulders and chest [m].
        expression: [T,52] ARKit weights of eyes, brows and smiles (the mouth's speech is added elsewhere).
        gaze: [T,2] yaw and pitch of the eyes relative to the head [rad].
    """

    head_to_body: np.ndarray
    body_shift: np.ndarray
    expression: np.ndarray
    gaze: np.ndarray


def drift(rng: np.random.Generator, times: np.ndarray, period: float) -> np.ndarray:
    """[T] smooth random curve, about unit standard deviation, wandering over some `period` [s]."""
    count = int((times[-1] + 8 * period) * _RATE) + 1
    curve = gaussian_filter1d(rng.standard_normal(count), period * _RATE / 4)
    curve *= np.sqrt(2 * np.sqrt(np.pi) * period * _RATE / 4)
    return np.interp(times + 4 * period, np.arange(count) / _RATE, curve)


def _limited(curve: np.ndarray, limit: float) -> np.ndarray:
    """Curve of unit size scaled to reach `limit` softly and never pass it."""
    return limit * np.tanh(0.62 * curve)


def _blinks(rng: np.random.Generator, times: np.ndarray, pauses: list[float]) -> np.ndarray:
    """[T] eyelid closure in [0,1]: every 2 to 5 s, often where speech pauses; down faster than up."""
    closure = np.zeros(len(times))
    clock = rng.uniform(0.8, 2.0)
    while clock < times[-1]:
        near = [p for p in pauses if abs(p - clock) < 0.8]
        at = near[0] + 0.1 if near else clock
        depth, down = rng.uniform(0.92, 1.0), rng.uniform(0.07, 0.10)
        hold, up = rng.uniform(0.02, 0.05), rng.uniform(0.13, 0.19)
        phase = np.interp(times - at, [-down, 0, hold, hold + up], [0, 1, 1, 0])
        closure = np.maximum(closure, depth * phase * phase * (3 - 2 * phase))
        clock = max(clock, at) + rng.uniform(2.0, 5.0)
    return closure


def _gaze(rng: np.random.Generator, times: np.ndarray, head_yaw: np.ndarray, head_pitch: np.ndarray) -> np.ndarray:
    """[T,2] eyes hold the camera against the head's turn, with small jumps aside (saccades)."""
    yaw, pitch = -0.75 * head_yaw, 0.75 * head_pitch
    clock = 0.0
    while clock < times[-1]:
        stay = rng.uniform(0.5, 2.2)
        aside = rng.normal(0, [0.035, 0.02]) * (3 if rng.random() < 0.12 else 1)
        on = np.clip((times - clock) / 0.04, 0, 1) * np.clip((clock + stay - times) / 0.04, 0, 1)
        yaw, pitch = yaw + on * aside[0], pitch + on * aside[1]
        clock += stay
    return np.stack([np.clip(yaw, -0.42, 0.42), np.clip(pitch, -0.28, 0.28)], 1)


# The eyeballs of the basis turn by about this much at weight 1 [rad].
EYE_TURN_SIDE, EYE_TURN_UP = 0.50, 0.40


def _look(expression: np.ndarray, gaze: np.ndarray) -> None:
    """Write gaze into the eyeLook weights (yaw > 0 looks to the image's right, pitch > 0 up)."""
    yaw, pitch = gaze[:, 0] / EYE_TURN_SIDE, gaze[:, 1] / EYE_TURN_UP
    # The person's left eye is on the image's right: looking there is "out" for it and "in" for the right eye.
    for outwards, inwards, value in (("Left", "Right", yaw), ("Right", "Left", -yaw)):
        expression[:, index(f"eyeLookOut{outwards}")] = np.clip(value, 0, 1)
        expression[:, index(f"eyeLookIn{inwards}")] = np.clip(value, 0, 1)
    expression[:, indices("eyeLookDown*")] = np.clip(-pitch, 0, 1)[:, None]
    expression[:, indices("eyeLookUp*")] = np.clip(pitch, 0, 1)[:, None]


def make_movement(times: np.ndarray, phones, seed: int, motion: float = 1.0) -> Movement:
    """Natural movement of a talking person.

    Args:
        times: [T] frame times [s].
        phones: (phone, start, end) triples [s]: nods and blinks go with phrases.
        seed: of all random curves.
        motion: scale of the head's movement; 1 reaches 15 degrees of yaw, 8 of pitch and 4 of roll.
    """
    rng = np.random.default_rng([seed, 1])
    pauses = [start for phone, start, end in phones if not phone and end - start > 0.15]
    speaking = np.zeros(len(times))
    for phone, start, end in phones:
        if phone:
            speaking[(times >= start) & (times < end)] = 1
    frame = float(times[1] - times[0]) if len(times) > 1 else 0.04
    speaking = gaussian_filter1d(speaking, 0.15 / frame, mode="nearest")
    nods = np.zeros(len(times))
    for pause in pauses:
        nods += np.exp(-(((times - pause + 0.1) / 0.22) ** 2)) * rng.uniform(0.4, 1.0)
    lively = 0.55 + 0.45 * speaking

    def wander(*periods: float) -> list[np.ndarray]:
        return [drift(rng, times, period) for period in periods]

    slow, fast = wander(3.4, 1.0)
    yaw = np.radians(_limited(slow + 0.35 * lively * fast, 15.0)) * motion
    slow, fast = wander(2.8, 0.8)
    pitch = np.radians(_limited(slow + 0.35 * lively * fast + 0.8 * nods, 8.0)) * motion
    slow, fast = wander(3.8, 1.2)
    roll = np.radians(_limited(slow + 0.25 * fast, 4.0)) * motion
    sway = np.stack(wander(4.0, 3.0, 4.5), 1) * [0.0035, 0.0012, 0.004]
    breath = 0.0012 * np.sin(2 * np.pi * times / 3.7 + rng.uniform(0, 6))
    body = motion * sway + np.stack([0 * times, -breath, 0 * times], 1) + np.stack(
        [0.012 * np.sin(yaw), 0.004 * np.sin(pitch), 0 * times], 1)
    turn = Rotation.from_euler("yxz", np.stack([yaw, pitch, roll], 1)).as_matrix()
    pose = np.tile(np.eye(4), (len(times), 1, 1))
    pose[:, :3, :3] = turn
    bob = motion * np.stack(wander(2.5, 2.0, 3.0), 1) * [0.002, 0.0012, 0.003]
    pose[:, :3, 3] = PIVOT - turn @ PIVOT + body + bob

    expression = np.zeros((len(times), 52))
    gaze = _gaze(rng, times, yaw, pitch)
    _look(expression, gaze)
    blink = _blinks(rng, times, pauses)
    asymmetry = rng.normal(0, 0.03, 2)
    for side, name in enumerate(("eyeBlinkLeft", "eyeBlinkRight")):
        expression[:, index(name)] = np.clip(blink * (1 + 0.3 * asymmetry[side] * (blink < 0.8)), 0, 1)
    raise_brows = np.clip(0.16 * drift(rng, times, 1.6) * lively + 0.10 * nods, 0, 0.5)
    frown = np.clip(0.10 * drift(rng, times, 2.2) - 0.04, 0, 0.3)
    expression[:, index("browInnerUp")] = 0.6 * raise_brows
    expression[:, indices("browOuterUp*")] = (0.8 * raise_brows)[:, None]
    expression[:, indices("browDown*")] = frown[:, None]
    smile = np.clip(0.17 + 0.10 * drift(rng, times, 3.0) + 0.10 * (1 - speaking), 0.04, 0.42)
    lopsided = 1 + 0.08 * drift(rng, times, 5.0)
    expression[:, index("mouthSmileLeft")] = smile * lopsided
    expression[:, index("mouthSmileRight")] = smile * (2 - lopsided)
    expression[:, indices("cheekSquint*")] = (0.5 * smile)[:, None]
    expression[:, indices("eyeSquint*")] = (0.18 * smile)[:, None]
    return Movement(pose, body, np.clip(expression, 0, 1), gaze)
