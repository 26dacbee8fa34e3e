"""Head poses for speech of any length from a person's own recorded ones.

A motion graph in one dimension (Kovar et al. 2002): the recording is played, and now and then it goes on from another
place where the head is held and moves alike; the two takes are cross-faded.
"""
from __future__ import annotations

import numpy as np

from ..types import check_array, require

_FADE = 0.8  # [s] of a cross-fade
_STRETCH = (2.0, 7.0)  # [s] played between two jumps
_NEAREST = 10  # places that one jump is drawn from
_SHORTEST = 10.0  # [s] a shorter recording has no places alike enough
_ELSEWHERE = 1.0  # [s] a jump goes at least so far
# Differences that count alike: of angle [rad], place [m], angular [rad/s] and linear speed [m/s].
_ALIKE = (0.03, 0.005, 0.15, 0.025)


def sample_poses(recorded: np.ndarray, frames: int, fps: float, random: np.random.Generator) -> np.ndarray:
    """Poses of a head that moves as the recorded one.

    Args:
        recorded: [R, 4, 4] rigid head-to-camera transforms of an uncut recording [m].
        frames: how many are wanted.
        fps: of the recording and of the result.

    Returns:
        [frames, 4, 4]; of a recording too short to jump in, the recording to and fro.
    """
    check_array("recorded", recorded, (None, 4, 4))
    require(len(recorded) > 0, "recorded: no pose")
    fade = max(2, round(_FADE * fps))
    if len(recorded) < _SHORTEST * fps:
        index = np.arange(frames) % max(2 * (len(recorded) - 1), 1)
        return recorded[np.where(index < len(recorded), index, 2 * (len(recorded) - 1) - index)]
    features = _features(recorded, fps)
    shortest, longest = (round(seconds * fps) for seconds in _STRETCH)
    # A place to go on from leaves time to play, and then to fade out of.
    goals = np.arange(len(recorded) - shortest - 2 * fade)
    out = np.empty((frames, 4, 4))
    here, done = int(random.integers(len(goals))), 0
    while done < frames:
        exits = np.arange(here + shortest, min(here + longest, len(recorded) - fade))
        leave, there = _jump(features, exits, goals, round(_ELSEWHERE * fps), random)
        share = np.arange(1, fade + 1) / (fade + 1)
        share = share * share * (3 - 2 * share)  # speeds fade as well as places
        faded = blend_poses(recorded[leave:leave + fade], recorded[there:there + fade], share)
        played = np.concatenate([recorded[here:leave], faded])[:frames - done]
        out[done:done + len(played)] = played
        done, here = done + len(played), there + fade
    return out


def blend_poses(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """[T, 4, 4] from `first` (share 0) to `second` (share [T] 1): straight lines, and turns about one axis."""
    from scipy.spatial.transform import Rotation

    out = np.array(first, np.float64)
    start = Rotation.from_matrix(first[:, :3, :3])
    turn = (start.inv() * Rotation.from_matrix(second[:, :3, :3])).as_rotvec()
    out[:, :3, :3] = (start * Rotation.from_rotvec(share[:, None] * turn)).as_matrix()
    out[:, :3, 3] = first[:, :3, 3] + share[:, None] * (second[:, :3, 3] - first[:, :3, 3])
    return out


def _features(recorded: np.ndarray, fps: float) -> np.ndarray:
    """[R, 12] angle, place and their speeds, in units that count alike."""
    from scipy.spatial.transform import Rotation

    turned = Rotation.from_matrix(recorded[:, :3, :3])
    angle, place = (turned.mean().inv() * turned).as_rotvec(), recorded[:, :3, 3]
    speeds = (np.gradient(x, axis=0) * fps for x in (angle, place))
    return np.concatenate([x / unit for x, unit in zip((angle, place, *speeds), _ALIKE)], axis=1)


def _jump(features: np.ndarray, exits: np.ndarray, goals: np.ndarray, elsewhere: int,
          random: np.random.Generator) -> tuple[int, int]:
    """One of `exits` and one of `goals`, far from each other in time, where the head is most alike."""
    distance = np.linalg.norm(features[exits, None] - features[goals], axis=-1)
    distance[np.abs(exits[:, None] - goals) < elsewhere] = np.inf
    goal = distance.argmin(1)  # of each exit: the draw is between moments, not between neighbours
    chosen = int(random.choice(np.argsort(distance.min(1), kind="stable")[:_NEAREST]))
    return int(exits[chosen]), int(goals[goal[chosen]])
