"""What is in front of a person in a frame: a hand, a microphone, a cup.

Found where a frame looks unlike the frames of the same clip in which the head is held most alike: the head in the
upright frame of its features, the torso where it is in the picture. How far a place strays by itself is measured on
these references. What stands out is then followed to the picture's own edges by a graph cut (GrabCut, Rother et al.
2004). What is in front all the time is taken for the person's.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..preflight.occlusion import upright
from .regions import box, disc

REFERENCES = 64
_SIDE = 64  # of the head brought upright [px]
_BOX = (-0.45, -0.6, 1.45, 1.3)  # left, top, right, bottom of what of it is compared, in boxes of the face's oval
_BODY = 64  # longer side at which the torso is compared [px]
_NEAREST = 9  # references that a frame is compared with
_APART = 25  # frames that they are off at least: what is in front now may have been so then
_ODD = 9.0  # least difference that counts [levels of 8-bit Lab, lightness halved]
_LIKE = 5.0  # difference up to which a place is surely as usual
_STRAYS = 2.5  # times what a place strays by itself in most references
_ROUNDS = 3  # of finding the references that are covered themselves
_LEAST = 0.02  # smallest thing that is believed [face boxes]
_FINE = 192  # longer side at which its edge is found [px]
_AROUND = 40  # how far a thing is followed beyond what stands out of it, at that side [px]


def _lab(picture: np.ndarray) -> np.ndarray:
    """[h,w,3] int16 Lab of RGB, lightness halved: shading comes and goes."""
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    lab[..., 0] >>= 1
    return lab.astype(np.int16)


@dataclass(frozen=True)
class _Views:
    """The same places in several frames.

    Attributes:
        lab: [K,h,w,3] int16, see `_lab`.
        known: [K,h,w] bool, where they show the person.
    """

    lab: np.ndarray
    known: np.ndarray

    def unlike(self, lab: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """[h,w] float32: how far a view [h,w,3] is from most of the chosen ones; 0 where too few know."""
        change, known = lab - self.lab[chosen], self.known[chosen]
        # Light that changes for all of the picture is no thing.
        light = np.array([np.median(c[k], axis=0) if k.any() else np.zeros(3) for c, k in
                          zip(change[:, ::3, ::3], known[:, ::3, ::3])])
        distance = np.abs(change - np.rint(light).astype(np.int16)[:, None, None]).sum(-1, dtype=np.int16)
        distance[~known] = 999
        found = _middle(distance)
        return np.where(found < 999, found, 0).astype(np.float32)


def _middle(values: np.ndarray) -> np.ndarray:
    """The lower median along the first axis of [K,...], by odd-even transposition: for few values quicker than
    `np.partition`."""
    values, count = values.copy(), len(values)
    for step in range(count):
        a, b = values[step % 2:count - 1:2], values[step % 2 + 1::2]
        low = np.minimum(a, b)
        np.maximum(a, b, out=b)
        a[...] = low
    return values[(count - 1) // 2]


class Usual:
    """How a person looks in each clip when nothing is in front.

    Args:
        views: frame [H,W,3] uint8 RGB, masks [H,W,3] uint8, landmarks [478,2] px and number of frames that show all
            positions of the head.
        starts: first frames of further clips: what is worn, and where one sits, is compared within a clip.
    """

    def __init__(self, views: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray, int]],
                 starts: Sequence[int] = ()) -> None:
        heads, shown, bodies, clothed, shapes, numbers = [], [], [], [], [], []
        for frame, mask, landmarks, number in views:
            matrix = _matrix(landmarks)
            heads.append(_head(frame, matrix))
            head = cv2.warpAffine(mask[..., 0], matrix, (_SIDE, _SIDE))
            shown.append(cv2.erode(head, np.ones((3, 3), np.uint8)) > 230)
            bodies.append(_body(frame))
            torso = cv2.resize(mask[..., 1], bodies[-1].shape[1::-1], interpolation=cv2.INTER_AREA)
            clothed.append(cv2.erode(torso, np.ones((3, 3), np.uint8)) > 230)
            shapes.append(_shape(landmarks, matrix))
            numbers.append(number)
        self._views = _Views(np.stack(heads), np.stack(shown)), _Views(np.stack(bodies), np.stack(clothed))
        self._shapes, self._numbers, self._starts = np.stack(shapes), np.array(numbers), np.array(starts, int)
        for _ in range(_ROUNDS):
            self._limits = tuple(self._limit(views) for views in self._views)
            if not self._drop_covered():
                break

    def _limit(self, views: _Views) -> np.ndarray:
        """[h,w] float32 difference up to which a place looks as usual: how far it strays in the references."""
        strays = [views.unlike(lab, chosen) for lab, chosen in
                  zip(views.lab, map(self._alike, self._shapes, self._numbers)) if len(chosen)]
        if not strays:
            return np.full(views.known.shape[1:], np.inf, np.float32)
        # Of a third of the references nothing is believed: something may be in front.
        limit = np.maximum(_ODD, _STRAYS * np.quantile(np.stack(strays), 0.65, axis=0)).astype(np.float32)
        return cv2.dilate(limit, np.ones((3, 3), np.uint8))

    def _drop_covered(self) -> bool:
        """References that something is in front of are not used, so long as enough others are left."""
        share = np.zeros(len(self._shapes))
        for i, chosen in enumerate(map(self._alike, self._shapes, self._numbers)):
            if not len(chosen):
                continue
            for views, limit in zip(self._views, self._limits):
                odd = (views.unlike(views.lab[i], chosen) > limit).astype(np.uint8)
                share[i] += cv2.morphologyEx(odd, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).sum()
        bad = share > _LEAST * (_SIDE / (_BOX[2] - _BOX[0])) ** 2
        bad &= share > np.median(share)
        if not bad.any() or len(share) - bad.sum() < 2 * _NEAREST:
            return False
        self._views = tuple(_Views(views.lab[~bad], views.known[~bad]) for views in self._views)
        self._shapes, self._numbers = self._shapes[~bad], self._numbers[~bad]
        return True

    def _alike(self, shape: np.ndarray, number: int) -> np.ndarray:
        """Indices of the references in which the head is held most alike; none in too short a clip."""
        distance = ((self._shapes - shape) ** 2).sum((1, 2))
        distance[np.abs(self._numbers - number) < _APART] = np.inf
        distance[self._clip(self._numbers) != self._clip(number)] = np.inf
        chosen = np.argsort(distance)[:_NEAREST]
        return chosen if len(chosen) == _NEAREST and np.isfinite(distance[chosen]).all() else chosen[:0]

    def _clip(self, number: np.ndarray | int) -> np.ndarray:
        return np.searchsorted(self._starts, number, "right")

    def odd(self, frame: np.ndarray, landmarks: np.ndarray, number: int) -> np.ndarray:
        """[h,w] uint8 of a frame at `_FINE`: 0 surely looks as usual, 1 surely does not, 2 may or may not.

        Args:
            frame: [H,W,3] uint8 RGB.
            landmarks: [478,2] px.
            number: of the frame.
        """
        height, width = (max(1, round(side * _FINE / max(frame.shape))) for side in frame.shape[:2])
        out = np.full((height, width), 2, np.uint8)
        matrix = _matrix(landmarks)
        chosen = self._alike(_shape(landmarks, matrix), number)
        if not len(chosen):
            return out
        scale = np.diag([width / frame.shape[1], height / frame.shape[0], 1])
        upright_to_fine = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]) @ np.linalg.inv(scale))[:2]
        body_to_fine = cv2.getAffineTransform(*(np.float32(v) for v in (
            [[-.5, -.5], [self._views[1].lab.shape[2] - .5, -.5], [-.5, self._views[1].lab.shape[1] - .5]],
            [[-.5, -.5], [width - .5, -.5], [-.5, height - .5]])))
        for views, limit, own, place in zip(self._views[::-1], self._limits[::-1], (_body(frame), _head(frame, matrix)),
                                            (body_to_fine, upright_to_fine)):
            value = views.unlike(own, chosen)
            verdict = np.dstack([cv2.inRange(value, 0.5, _LIKE), cv2.compare(value, limit, cv2.CMP_GT)])
            verdict = cv2.warpAffine(verdict, place, (width, height), flags=cv2.INTER_LINEAR)
            out[(verdict[..., 0] > 127) & (out != 1)] = 0
            out[verdict[..., 1] > 127] = 1
        return out


def _matrix(landmarks: np.ndarray) -> np.ndarray:
    """[2,3] from image px to the upright head's px."""
    left, top, right, bottom = _BOX
    scale = np.array([_SIDE / (right - left), _SIDE / (bottom - top)])
    matrix = upright(landmarks)
    matrix[:, 2] -= (left, top)
    return matrix * scale[:, None]


def _head(frame: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """[64,64,3] int16 Lab of the head brought upright."""
    shrink = max(1, int(0.7 / max(np.sqrt(abs(np.linalg.det(matrix[:, :2]))), 1e-3)))  # the warp does not filter
    small = cv2.resize(frame, (frame.shape[1] // shrink, frame.shape[0] // shrink), interpolation=cv2.INTER_AREA)
    scaled = matrix @ np.diag([frame.shape[1] / small.shape[1], frame.shape[0] / small.shape[0], 1])
    return _lab(cv2.blur(cv2.warpAffine(small, scaled, (_SIDE, _SIDE)), (3, 3)))


def _body(frame: np.ndarray) -> np.ndarray:
    """[h,w,3] int16 Lab of the whole frame, small."""
    scale = _BODY / max(frame.shape)
    size = max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale))
    return _lab(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))


def _shape(landmarks: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """[120,2] landmarks in the upright head: what is left is turning and expression."""
    return landmarks[::4] @ matrix[:, :2].T.astype(np.float32) + matrix[:, 2].astype(np.float32)


def occluder(frame: np.ndarray, landmarks: np.ndarray, number: int, person: np.ndarray,
             usual: Usual) -> np.ndarray | None:
    """Share of each pixel that something in front of the person covers, [H,W] float32 in [0,1]; None for nothing.

    Args:
        frame: [H,W,3] uint8 RGB.
        landmarks: [478,2] px.
        number: of the frame.
        person: [H,W] float32 alpha.
    """
    odd = usual.odd(frame, landmarks, number)
    height, width = odd.shape
    face = landmarks * (width / frame.shape[1])
    least = _LEAST * float(np.prod(np.ptp(face, axis=0)))
    seeds = cv2.morphologyEx((odd == 1).astype(np.uint8), cv2.MORPH_OPEN, disc(2))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(seeds)
    believed = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= least]
    if not believed:
        return None
    seeds = np.isin(labels, believed).astype(np.uint8)
    # What was compared is coarse: things are a little smaller than they seem.
    cores = cv2.erode(seeds, disc(1))
    thick = cv2.erode(seeds, disc(3))
    cores = np.where(cv2.dilate(thick, disc(6)) > 0, thick, cores)
    small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(person, (width, height), interpolation=cv2.INTER_AREA)
    far = cv2.dilate((odd == 1).astype(np.uint8), disc(4)) == 0
    marks = np.where(far & (odd == 0), cv2.GC_BGD, np.where(seeds > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD)).astype(np.uint8)
    marks[cores > 0] = cv2.GC_FGD
    marks[alpha < 0.1] = np.where(marks[alpha < 0.1] == cv2.GC_FGD, cv2.GC_FGD, cv2.GC_BGD)
    # The surroundings of the thing are all that is to be told from it.
    part = box(seeds > 0, _AROUND)
    cut = np.ascontiguousarray(marks[part])
    if (cut == cv2.GC_FGD).any() and ((cut == cv2.GC_BGD) | (cut == cv2.GC_PR_BGD)).any():
        cv2.setRNGSeed(0)
        cv2.grabCut(np.ascontiguousarray(small[part]), cut, None, np.zeros((1, 65)), np.zeros((1, 65)), 2,
                    cv2.GC_INIT_WITH_MASK)
    covered = np.zeros((height, width), np.uint8)
    covered[part] = (cut == cv2.GC_FGD) | (cut == cv2.GC_PR_FGD)
    # What hangs together with it is it; specks elsewhere are not.
    _, pieces = cv2.connectedComponents(covered)
    covered &= np.isin(pieces, np.unique(pieces[(cores > 0) & (covered > 0)])).astype(np.uint8)
    covered = cv2.dilate(cv2.medianBlur(covered, 5) | cores, disc(1)).astype(np.float32)
    full = cv2.resize(covered, frame.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return cv2.GaussianBlur(full, (0, 0), 0.003 * max(frame.shape))


def references(landmarks: np.ndarray, starts: Sequence[int] = ()) -> np.ndarray:
    """Frames of landmarks [T,478,2] px that together show all positions and expressions of a head, ascending: of every
    clip (see `Usual`) in proportion, but enough to compare with."""
    edges = [0, *starts, len(landmarks)]
    return np.concatenate([
        start + _spread(landmarks[start:stop], max(round(REFERENCES * (stop - start) / len(landmarks)), 3 * _NEAREST))
        for start, stop in zip(edges, edges[1:])])


def _spread(landmarks: np.ndarray, number: int) -> np.ndarray:
    """At most `number` frames of landmarks [T,478,2]: half of them even in time, half as unlike each other as can be."""
    count = len(landmarks)
    even = np.linspace(0, count - 1, min(number // 2, count)).astype(int)
    candidates = np.linspace(0, count - 1, min(600, count)).astype(int)
    shapes = np.stack([_shape(landmarks[i], _matrix(landmarks[i])) for i in candidates]).reshape(len(candidates), -1)
    chosen = [int(np.argmin(np.abs(shapes - np.median(shapes, 0)).sum(1)))]
    distance = ((shapes - shapes[chosen[0]]) ** 2).sum(1)
    while len(chosen) < min(number // 2, len(candidates)):
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, ((shapes - shapes[chosen[-1]]) ** 2).sum(1))
    return np.unique(np.concatenate([even, candidates[chosen]]))
