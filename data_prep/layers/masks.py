"""The masks of a whole clip, steady over time."""
from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from geneface.face.landmarks import FACE_OVAL
from geneface.progress import track

from ..streams import Sequence, encode_png, ordered_map
from ..tracking.smooth import adaptive
from ..tracking.takes import pieces
from .occluders import Usual, occluder, references
from .parting import JAW, ColourSplit, split
from .segment import PersonSegmenter, Plate, refine, to_bytes

_LEARN = 24  # frames that hair and clothes colours are learned from
_VIEW = 192  # longer side at which the person's usual look is learned [px]
_SHAKE = 2.0, 8.0  # movement of the face's outline between these is kept or not as it is strong or weak [Hz]
_REACH = 2  # frames on either side that the person's outline is averaged with
_STILL = 5.0  # change of a spot's brightness beyond which its neighbours in time say nothing about it [grey levels]


def steady(probabilities: Iterable[tuple[np.ndarray, np.ndarray]],
           breaks: frozenset[int] = frozenset()) -> Iterator[np.ndarray]:
    """Average each person probability with its neighbours in time, where the picture stands still.

    The segmenter decides every frame afresh, so its edges flicker where nothing moves; where something
    moves the frame alone is believed, so nothing lags.

    Args:
        probabilities: per frame, probability [h,w] float32 and grey picture [h,w] float32.
        breaks: frames that begin after a jump: nothing is averaged across.

    Yields:
        [h,w] float32.
    """
    window: deque[tuple[int, np.ndarray, np.ndarray, dict[int, np.ndarray]]] = deque()

    def likeness(index: int, grey: np.ndarray) -> dict[int, np.ndarray]:
        """How far each spot of a frame stands still against the frames before it."""
        earlier = [(other, there) for other, _, there, _ in window if index - other <= _REACH
                   and not any(other < jump <= index for jump in breaks)]
        changes = [(other, cv2.blur(cv2.absdiff(grey, there), (5, 5)) / _STILL) for other, there in earlier]
        return {other: cv2.exp(-change * change) for other, change in changes}

    def mixed(centre: int) -> np.ndarray:
        entries = {index: (probability, alike) for index, probability, _, alike in window}
        total, weights = entries[centre][0].copy(), np.ones_like(entries[centre][0])
        for index, (other, alike) in entries.items():
            weight = alike.get(centre) if index > centre else entries[centre][1].get(index)
            if weight is not None:
                total += weight * other
                weights += weight
        return total / weights

    last = -1
    for last, (probability, grey) in enumerate(probabilities):
        window.append((last, probability, grey, likeness(last, grey)))
        if last >= _REACH:
            yield mixed(last - _REACH)
        if len(window) > 2 * _REACH:
            window.popleft()
    for centre in range(max(0, last - _REACH + 1), last + 1):
        yield mixed(centre)


def write_masks(frames: Sequence, target: Sequence, landmarks: np.ndarray, plate: Plate,
                jumps: tuple[int, ...] = (), starts: tuple[int, ...] = (), fps: float = 25.0,
                model: str = "") -> tuple[int, str]:
    """Segment every frame and write its mask.

    Args:
        frames: the cropped frames.
        target: where masks go.
        landmarks: [T,478,2] px.
        plate: clean background.
        jumps: first frames after jumps.
        starts: first frames of further clips, in which something else may be worn.
        fps: frames per second.
        model: see `PersonSegmenter`.

    Returns:
        How many masks, and the SHA-256 of them all.
    """
    count = len(landmarks)
    target.clear()
    outline = _steady_outline(landmarks, jumps, fps)
    with PersonSegmenter(model) as segmenter:
        colours = ColourSplit()
        chosen = sorted({int(i) for i in np.linspace(0, count - 1, min(_LEARN, count))})
        for index, frame in zip(chosen, frames.read(chosen)):
            colours.learn(frame, refine(segmenter.probability(frame), frame, plate), landmarks[index])

        def view(index: int, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
            scale = _VIEW / max(frame.shape)
            small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            points = landmarks[index] * (np.array(small.shape[1::-1]) / frame.shape[1::-1]).astype(np.float32)
            look = segmenter.look(small)
            parts = split(refine(look.person, small), small, points, colours, look.head)
            return small, to_bytes(parts), points, index

        chosen = references(landmarks, starts)
        usual = Usual((view(index, frame) for index, frame in zip(chosen, frames.read(chosen))), starts)

        held: deque[tuple[np.ndarray, np.ndarray | None]] = deque()

        def looked() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for frame in track(frames.read(range(count)), "Masks", count):
                look = segmenter.look(frame)
                held.append((frame, look.head))
                small = cv2.resize(frame, look.person.shape[::-1], interpolation=cv2.INTER_AREA)
                yield look.person, cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)

        def finished(item: tuple[int, np.ndarray, np.ndarray, np.ndarray | None]) -> bytes:
            index, probability, frame, hair = item
            person = refine(probability, frame, plate)
            parts = split(person, frame, outline[index], colours, hair)
            hidden = occluder(frame, landmarks[index], index, person, usual)
            return encode_png(to_bytes(parts if hidden is None else parts * (1 - hidden[..., None])))

        calm = enumerate(steady(looked(), frozenset(jumps)))
        return target.write(ordered_map(finished, ((index, p, *held.popleft()) for index, p in calm)))


def _steady_outline(landmarks: np.ndarray, jumps: tuple[int, ...], fps: float) -> np.ndarray:
    """Landmarks [T,478,2] px in which the outline of the face does not shake: every frame's are found afresh."""
    points = np.union1d(JAW, FACE_OVAL)
    steady_ones = landmarks.copy()
    for run in pieces(np.ones(len(landmarks), bool), jumps):
        values = landmarks[run][:, points]
        steady_ones[run, points] = adaptive(values.reshape(len(values), -1), *_SHAKE, fps).reshape(values.shape)
    return steady_ones
