"""How a person moves when they speak: the statistics of a recording that amplitude and behaviour follow."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..face.landmarks import LIPS_68, mouth_opening, mouth_width
from ..types import Avatar, FaceTrack, PreparedPerson, check_array, require
from .behaviour import silence
from .blinks import BLINK, rate_of, shape_of
from .measures import MouthMeasures
from .reference import reference_motion

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_AMPLITUDES = (0.4, 1.5)
_SPEAKING = 0.5  # a frame less silent than this counts as speech
_GAZE_DEGREES = (0.3, 4.0)  # tracked gaze spreads by noise where it rests, and by reading where it roams
_LEAST_SECONDS = 10.0  # a shorter recording says nothing of how often somebody blinks
USUAL_BLINKS, USUAL_GAZE_DEGREES = 17.0, 1.5  # per minute (Bentivoglio et al. 1997, at rest); standard deviation


@dataclass(frozen=True)
class SpeakingStyle:
    """Attributes:
        opening: [5] quantiles (`QUANTILES`) of the inner lips' distance in speech, on the mean face [m].
        width: [5] of the mouth's width [m].
        speed: [5] of the lips' mean speed [m/s].
        blinks_per_minute: how often they blink.
        blink: [12] eyelid closure of their typical blink at 25 fps, 1 at its deepest.
        gaze: [2] standard deviation of yaw and pitch [rad].
        head: [2] standard deviation of the head's rotation [rad], and its root mean square speed [rad/s]; 0 where
            unknown.
    """

    opening: np.ndarray
    width: np.ndarray
    speed: np.ndarray
    blinks_per_minute: float
    blink: np.ndarray
    gaze: np.ndarray
    head: np.ndarray

    def __post_init__(self) -> None:
        lengths = {"opening": 5, "width": 5, "speed": 5, "blink": len(BLINK), "gaze": 2, "head": 2}
        for name, length in lengths.items():
            check_array(name, getattr(self, name), (length,))
        require(self.blinks_per_minute >= 0, f"blinks_per_minute: must not be negative, got {self.blinks_per_minute}")

    @property
    def opening_range(self) -> float:
        """5-95 % range of the opening in speech [m]."""
        return float(self.opening[-1] - self.opening[0])

    def amplitude(self, opening_range: float) -> float:
        """How much wider than a talker whose mouth opens over `opening_range` [m] this person opens theirs.

        Bounded: a recording with little speech says little.
        """
        return float(np.clip(self.opening_range / opening_range, *_AMPLITUDES)) if opening_range > 0 else 1.0

    @classmethod
    def of_landmarks(cls, landmarks: np.ndarray, fps: float = 25.0, spoken: np.ndarray | None = None,
                     closure: np.ndarray | None = None, gaze: np.ndarray | None = None,
                     poses: np.ndarray | None = None) -> "SpeakingStyle":
        """Of recorded frames; what is not given is as people usually are.

        Args:
            landmarks: [T, 68, 3] canonical landmarks on the mean face [m].
            spoken: [T] bool: the frames with speech; all by default, and where there are none.
            closure: [T] of the eyelids. gaze: [T, 2] [rad]. poses: [T, 4, 4] head to camera.
        """
        require(len(landmarks) > 0, "landmarks: no recorded frame")
        spoken = np.ones(len(landmarks), bool) if spoken is None or not spoken.any() else spoken
        moved = np.linalg.norm(np.diff(landmarks[:, LIPS_68], axis=0), axis=-1).mean(-1) * fps
        both = spoken[1:] & spoken[:-1]
        speeds = moved[both] if both.any() else np.zeros(1)
        rate, shape = USUAL_BLINKS, BLINK
        if closure is not None and len(closure) >= _LEAST_SECONDS * fps:
            rate, shape = rate_of(closure, fps), shape_of(closure, fps)
        spread = np.radians([USUAL_GAZE_DEGREES, USUAL_GAZE_DEGREES / 2])
        if gaze is not None and len(gaze) > 1:
            spread = np.clip(_without_head(gaze, poses).std(0), *np.radians(_GAZE_DEGREES))
        return cls(*(np.quantile(x, QUANTILES).astype(np.float32) for x in (
            mouth_opening(landmarks)[spoken], mouth_width(landmarks)[spoken], speeds)), float(rate),
            shape.astype(np.float32), spread.astype(np.float32), _head(poses, fps))

    @classmethod
    def of_track(cls, face: FaceTrack, measures: MouthMeasures, spoken: np.ndarray | None = None,
                 poses: np.ndarray | None = None) -> "SpeakingStyle":
        """Of tracked frames."""
        return cls.of_landmarks(measures.landmarks(face.expression), face.fps, spoken, 1 - face.eye_open.mean(1),
                                face.gaze, poses)

    @classmethod
    def of_person(cls, person: PreparedPerson, measures: MouthMeasures | None = None) -> "SpeakingStyle":
        """Of a prepared person's training frames."""
        count = len(person.train_frames)
        face = person.face
        part = FaceTrack(face.landmarks[:count], face.valid[:count], face.identity, face.expression[:count],
                         face.eye_open[:count], face.gaze[:count], face.fps)
        spoken = silence(person.speech, count, person.fps) < _SPEAKING if len(person.speech) else None
        return cls.of_track(part, measures or MouthMeasures.of_basis(), spoken,
                            person.camera.head_to_camera[:count])

    @classmethod
    def of_avatar(cls, avatar: Avatar) -> "SpeakingStyle":
        """As learned when it was fitted, or from its reference frames where it is older than that."""
        prefix = "style."
        tensors = {name[len(prefix):]: value for name, value in avatar.motion.items() if name.startswith(prefix)}
        return cls.of_tensors(tensors) if tensors else cls.of_landmarks(avatar.motion_reference)

    @classmethod
    def of_file(cls, path: str | Path) -> "SpeakingStyle":
        """Of an avatar, a prepared person's folder or a motion file of any format that can be read.

        Raises:
            UserError: it is none of these.
        """
        path = Path(path)
        if path.is_dir():
            return cls.of_person(PreparedPerson.open(path))
        if path.suffix == ".avatar":
            return cls.of_avatar(Avatar.load(path))
        motion = reference_motion(path)
        if not len(motion):
            raise UserError(f"style: {path} holds a motion of no frames; give another")
        return cls.of_landmarks(motion.landmarks, motion.fps, None, motion.blink, motion.gaze, motion.head_pose)

    @classmethod
    def usual(cls, opening_range: float) -> "SpeakingStyle":
        """Of nobody in particular, who opens the mouth over `opening_range` [m] in speech."""
        nothing = np.zeros(len(QUANTILES), np.float32)
        opening = np.linspace(0, opening_range, len(QUANTILES)).astype(np.float32)
        gaze = np.radians([USUAL_GAZE_DEGREES, USUAL_GAZE_DEGREES / 2]).astype(np.float32)
        return cls(opening, nothing, nothing, USUAL_BLINKS, BLINK, gaze, np.zeros(2, np.float32))

    def tensors(self) -> dict[str, np.ndarray]:
        """Named arrays, for a file."""
        return {field.name: np.atleast_1d(np.asarray(getattr(self, field.name), np.float32)) for field in fields(self)}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, np.ndarray]) -> "SpeakingStyle":
        """What `tensors` gave. Raises ValueError where an array is missing or of another shape."""
        missing = [field.name for field in fields(cls) if field.name not in tensors]
        require(not missing, f"style: lacks {', '.join(missing)}")
        return cls(**{f.name: float(tensors[f.name][0]) if f.name == "blinks_per_minute" else tensors[f.name]
                      for f in fields(cls)})


def _turns(poses: np.ndarray) -> np.ndarray:
    """[T, 3] the head's rotation about its mean [rad]."""
    from scipy.spatial.transform import Rotation

    turned = Rotation.from_matrix(poses[:, :3, :3])
    return (turned.mean().inv() * turned).as_rotvec()


def _without_head(gaze: np.ndarray, poses: np.ndarray | None) -> np.ndarray:
    """Gaze [T, 2] about its mean, less what keeps the eyes on their goal while the head turns."""
    known = [np.ones((len(gaze), 1))] + ([] if poses is None else [_turns(poses)])
    causes = np.concatenate(known, axis=1)
    return gaze - causes @ np.linalg.lstsq(causes, gaze, rcond=None)[0]


def _head(poses: np.ndarray | None, fps: float) -> np.ndarray:
    """[2] spread [rad] and speed [rad/s] of the head's rotation."""
    if poses is None or len(poses) < 2:
        return np.zeros(2, np.float32)
    turns = _turns(poses)
    spread, step = (np.sqrt(np.mean((x**2).sum(1))) for x in (turns, np.diff(turns, axis=0)))
    return np.array([spread, fps * step], np.float32)
