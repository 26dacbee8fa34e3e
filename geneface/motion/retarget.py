"""Retargeting: what one person does, on the face and head of another.

Everything is taken relative to the rest of whoever does it, so that a driver who always smiles, has wide lips or holds
the head askew leaves nothing of that on the person. Of the driver's movement is taken what the person's own ways of
moving can make (`Modes`), scaled to how far they went themselves; what still goes farther is held back softly. Beyond
that an avatar has nothing to show: its field was fitted to no other landmarks, and tears.
"""
from __future__ import annotations

import difflib

import numpy as np

from ..errors import UserError
from ..face import arkit
from ..face import landmarks as lm
from ..face.gaze import gaze_of_weights, gaze_weights
from ..types import Avatar, MotionSequence, check_array, require
from .lids import CLOSING, Lids
from .measures import MouthMeasures
from .modes import Modes, extent
from .resample import resample_poses

BOTH, EXPRESSION, POSE = TRANSFERS = ("both", "expression", "pose")

_QUIET = 0.1  # share of the frames, those in which the face does least, that its rest is read from
_LOW = 0.05  # quantile of a weight that stands for not doing it
_FULL = 0.98  # quantile of a movement that stands for how far it goes
_SEEN = 0.99  # quantile of what was recorded that stands for all of it
_REACH = 1.2  # a driver who goes farther than the person did takes them so much farther
_MOST = 1.5  # a driver who moves less is not enlarged by more
_LEAST_MOVE = 0.5  # of modes: less is noise of the tracker
# A smile is at most so wide over the person's own, and over what it would be if scaled like the rest of the mouth.
_WIDEST_SMILE, _MOST_SMILE = 2.5, 4.0
_BEYOND = 1.0  # how far beyond what the person showed single frames may go, as a share of it
_HANGING = 0.2, 0.6  # closure of eyes that are not shut yet, and of those that are meant to be
_AT_HOME = 0.03  # a head so near to where the person's was recorded is before the same camera [m]
_LEAST_GAZE = np.radians(5.0)
_TURN_MARGIN, _PLACE_MARGIN = np.radians(2.0), 0.004  # beyond the recorded poses [rad, m]

_UPPER = [*arkit.indices("eyeSquint*", "eyeWide*"), *arkit.BROWS]
_LOWER = sorted(set(range(len(arkit.ARKIT_NAMES))) - {*_UPPER, *CLOSING, *arkit.GAZE})
_SMILE = arkit.indices("mouthSmile*")
_AREAS = (
    (_LOWER, np.concatenate([lm.JAW_68[4:13], lm.NOSE_68, lm.LIPS_68])),
    (_UPPER, np.concatenate([lm.BROWS_68, lm.EYES_68])),
)


def retarget(motion: MotionSequence, avatar: Avatar, transfer: str = BOTH, expression: float = 1.0, pose: float = 1.0,
             match: float = 1.0, measures: MouthMeasures | None = None) -> MotionSequence:
    """A driver's motion as the avatar's person would make it.

    Args:
        motion: tracked on somebody else.
        transfer: "both"; "expression", then the motion comes without head poses, and rendering replays the recorded
            ones; "pose", then the face is at rest.
        expression, pose: strength of either: 0 the person's rest, 1 the driver's movement, scaled to the person.
        match: how far it is scaled to the person: 0 not at all.

    Raises:
        UserError: no such transfer, a strength out of range, an empty motion, or poses wanted of one without any.
    """
    check_transfer(transfer, expression, pose, match)
    if not len(motion):
        raise UserError(f"{motion.source}: motion of no frames; nothing to transfer")
    measures = measures or MouthMeasures.of_basis()
    reference = avatar.expression_reference
    recorded_gaze = gaze_of_weights(reference)
    poses = None
    if transfer == POSE:
        weights = np.tile(rest_weights(reference, measures), (len(motion), 1))
        gaze = np.tile(np.median(recorded_gaze, axis=0), (len(motion), 1))
    else:
        weights = transfer_expression(motion.expression, reference, measures, expression, match)
        gaze = transfer_gaze(motion.gaze, recorded_gaze, expression)
    if transfer != EXPRESSION:
        if motion.head_pose is None:
            raise UserError(f"{motion.source}: has no head poses; transfer the expression alone")
        poses = transfer_pose(motion.head_pose, avatar.camera.head_to_camera, pose)
    weights[:, arkit.GAZE] = gaze_weights(gaze)[:, arkit.GAZE]
    weights = np.clip(weights, 0, 1).astype(np.float32)
    lids = Lids.of(reference, rest_weights(reference, measures), measures)
    return motion.after(
        f"retarget {transfer}", expression=weights, landmarks=measures.landmarks(weights).astype(np.float32),
        blink=lids.closure(weights).mean(1).astype(np.float32),
        gaze=gaze.astype(np.float32), head_pose=poses,
    )


def at_home(motion: MotionSequence, avatar: Avatar) -> MotionSequence:
    """`motion` where the avatar's camera sees the person.

    Head poses stand as they are where the head is where the person's was recorded. Elsewhere they are of another camera,
    or of a program that has none, and the person makes the same turns (`transfer_pose`).
    """
    if motion.head_pose is None or not len(motion):
        return motion
    recorded = avatar.camera.head_to_camera
    place = np.median(motion.head_pose[:, :3, 3], axis=0)
    low, high = recorded[:, :3, 3].min(0) - _AT_HOME, recorded[:, :3, 3].max(0) + _AT_HOME
    if (low <= place).all() and (place <= high).all():
        return motion
    return motion.after("retarget pose", head_pose=transfer_pose(motion.head_pose, recorded))


def with_poses(motion: MotionSequence, driver: MotionSequence) -> MotionSequence:
    """`motion` with the head poses of a retargeted driver, to and fro where it is longer."""
    poses = resample_poses(driver.head_pose, driver.fps, motion.fps)
    place = np.arange(len(motion)) % max(2 * (len(poses) - 1), 1)
    poses = poses[np.where(place < len(poses), place, 2 * (len(poses) - 1) - place)]
    return motion.after(driver.history[-1], head_pose=poses)


def check_transfer(transfer: str, expression: float, pose: float, match: float) -> None:
    """Raise UserError where an option of `retarget` is out of range."""
    if transfer not in TRANSFERS:
        nearest = difflib.get_close_matches(transfer, TRANSFERS, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(TRANSFERS)}"
        raise UserError(f"--transfer {transfer}: no such transfer; {hint}")
    for name, value, most in (("expression_strength", expression, 3), ("pose_strength", pose, 3),
                              ("match_driver", match, 1)):
        if not 0 <= value <= most:
            raise UserError(f"{name}: must lie from 0 to {most}, got {value:g}")


def soft_limit(x: np.ndarray, limit: np.ndarray | float, margin: np.ndarray | float) -> np.ndarray:
    """`x` [T,...] as it is up to +-`limit`, then ever slower, never beyond `limit` + `margin`; strictly increasing."""
    over = np.maximum(np.abs(x) - limit, 0)
    return np.clip(x, -limit, limit) + np.sign(x) * margin * np.tanh(over / margin)


def rest_weights(weights: np.ndarray, measures: MouthMeasures) -> np.ndarray:
    """[52] the weights of a face that does nothing in particular: the median of the tenth of the frames [T,52] in which
    it is nearest to doing nothing at all. A weight that is never small, as of who always smiles, belongs to it."""
    require(len(weights) > 0, "weights: no frame to read the rest from")
    idle = np.quantile(weights, _LOW, axis=0)
    away = _movement(weights - idle, measures).mean(1)
    return np.median(weights[away <= np.quantile(away, _QUIET)], axis=0)


def transfer_expression(weights: np.ndarray, reference: np.ndarray, measures: MouthMeasures, strength: float = 1.0,
                        match: float = 1.0) -> np.ndarray:
    """Expression weights of a driver on another person; those of the gaze stay at the person's rest.

    Args:
        weights: [T,52] of the driver.
        reference: [R,52] the person's own, recorded.
        strength, match: see `retarget`.

    Returns:
        [T,52], not cut to [0,1].
    """
    check_array("weights", weights, (None, len(arkit.ARKIT_NAMES)))
    rest = rest_weights(reference, measures)
    driver = rest_weights(weights, measures)
    moved, own = weights - driver, reference - rest
    out = np.tile(rest, (len(weights), 1))
    for columns, points in _AREAS:
        modes = Modes.of(own, columns, points, measures)
        gain = _gain(extent(modes.read(moved)), modes.size) ** match
        if columns is _LOWER:
            moved[:, _SMILE] *= 1 + match * (_smile_factor(moved, own, modes, gain) - 1)
        wanted = strength * gain * modes.read(moved)
        out[:, columns] += modes.write(soft_limit(wanted, modes.seen, _BEYOND * modes.seen))
    closure = np.clip(strength * Lids.of(weights, driver, measures).closure(weights), 0, 1)
    shut = Lids.of(reference, rest, measures).closing(np.clip(out, 0, 1), closure)
    # Lids that hang a little are left to all weights that let them.
    share = np.clip((closure - _HANGING[0]) / (_HANGING[1] - _HANGING[0]), 0, 1)
    out[:, CLOSING] += share * (shut - out[:, CLOSING])
    return out


def transfer_gaze(gaze: np.ndarray, recorded: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """Gaze [T,2] of a driver on another person, of whom [R,2] is recorded [rad]: about where they usually look, and
    not much farther than they were seen to look."""
    usual, away = np.median(recorded, axis=0), gaze - np.median(gaze, axis=0)
    limit = np.maximum(np.quantile(np.abs(recorded - usual), _SEEN, axis=0), _LEAST_GAZE)
    full = np.maximum(np.quantile(np.abs(away), _FULL, axis=0), 1e-6)
    return usual + soft_limit(strength * np.minimum(1, _REACH * limit / full) * away, limit, limit / 2)


def transfer_pose(poses: np.ndarray, recorded: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """Head poses of a driver on another person, within the recorded range and a margin.

    Turns are about each one's own mean. Where the head goes when it turns is the person's own way, a linear fit to the
    recording, in which the neck stays where it is; to this is added how the driver moves beside turning.

    Args:
        poses: [T,4,4] of the driver, head to camera [m].
        recorded: [R,4,4] of the person.

    Returns:
        [T,4,4].
    """
    from scipy.spatial.transform import Rotation

    check_array("poses", poses, (None, 4, 4))
    _, turns, _, places = _parts(poses)
    mean, own_turns, middle, own_places = _parts(recorded)
    sway, own_sway = _sway(turns, places), _sway(own_turns, own_places)
    turn = _held(strength * turns, own_turns, _TURN_MARGIN)
    place = _held(turn @ own_sway + strength * (places - turns @ sway), own_places, _PLACE_MARGIN)
    out = np.tile(np.eye(4, dtype=np.float32), (len(poses), 1, 1))
    out[:, :3, :3] = (mean * Rotation.from_rotvec(turn)).as_matrix()
    out[:, :3, 3] = middle + place
    return out


def _movement(moved: np.ndarray, measures: MouthMeasures) -> np.ndarray:
    """[T,68] how far weights [T,52] move the landmarks [m]."""
    return np.linalg.norm(np.einsum("tk,kpc->tpc", moved, measures.offsets), axis=-1)


def _gain(driver: float, person: float) -> float:
    """What brings a driver's movement to the size of the person's; one who goes farther, to `_REACH` of it."""
    share = (person + _LEAST_MOVE) / (driver + _LEAST_MOVE)
    return min(share, _MOST) if share > 1 else min(1.0, _REACH * share)


def _smile_factor(moved: np.ndarray, own: np.ndarray, modes: Modes, gain: float) -> float:
    """What keeps a smile as wide as the driver's, within reason for the person: small beside an open mouth, it would be
    lost when it is scaled down with that."""
    columns = np.searchsorted(modes.columns, _SMILE)

    def size(x: np.ndarray) -> float:
        return float(np.quantile(np.abs(x[:, columns].mean(1)), _FULL))

    alone = np.zeros_like(moved)
    alone[:, _SMILE] = moved[:, _SMILE]
    wanted = min(size(moved[:, modes.columns]), _WIDEST_SMILE * size(own[:, modes.columns]))
    so_far, more = (size(modes.write(gain * modes.read(x))) for x in (moved, alone))
    return 1 + float(np.clip((wanted - so_far) / max(more, 1e-6), 0, _MOST_SMILE - 1))


def _parts(poses: np.ndarray):
    """Of head poses [T,4,4]: mean rotation, rotation vectors [T,3] about it in the head's own axes, mean place, and
    places [T,3] about it [m]."""
    from scipy.spatial.transform import Rotation

    turned = Rotation.from_matrix(poses[:, :3, :3])
    mean, middle = turned.mean(), poses[:, :3, 3].mean(0)
    return mean, (mean.inv() * turned).as_rotvec(), middle, poses[:, :3, 3] - middle


def _sway(turns: np.ndarray, places: np.ndarray) -> np.ndarray:
    """[3,3] how places [T,3] follow turns [T,3], by least squares; none where the head hardly turns."""
    ridge = len(turns) * np.radians(1.0) ** 2 * np.eye(3)
    return np.linalg.solve(turns.T @ turns + ridge, turns.T @ places)


def _held(x: np.ndarray, recorded: np.ndarray, margin: float) -> np.ndarray:
    """Values [T,3] about 0 held within those recorded [R,3] and a margin, softly."""
    low, high = np.quantile(recorded, [1 - _SEEN, _SEEN], axis=0)
    middle = (low + high) / 2
    return middle + soft_limit(x - middle, (high - low) / 2, margin)
