"""One file of a corpus: its face landmarks and sound, checked, cut to training clips, and kept for a later run."""
from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data_prep.tracking.landmarks import Detections, detect_landmarks
from geneface.config import CorpusConfig
from geneface.corpus import FPS
from geneface.errors import UserError
from geneface.media import probe, read_audio, read_frames
from geneface.speech.features import speech_activity
from geneface.speech.framing import HOP
from geneface.types import write_atomically

from .layouts import Source
from .transcripts import Transcript

SAMPLE_RATE = 16000  # [Hz]
SAMPLES = int(SAMPLE_RATE / FPS)  # per video frame
_FULL_SCALE = 32767
_SHORTEST = 12  # frames
_QUIETEST_DB = -55.0  # level of the loudest 20 ms [dB full scale] below which a clip has no speech
_LATE = 0.5  # the sound may end so long before the picture [s]
_GAP = 5  # frames without a face that a clip cut from a long recording may bridge
# Another shot begins where the landmarks move farther than `_JUMP` of the face's width from one frame to the next, or
# farther than `_SUDDEN` and so many times as far as in the frames around. A shaken head was seen to reach 0.095, twice
# its surroundings; a jump cut to the same face in the same place 0.136, 45 times.
_JUMP = 0.35
_SUDDEN = 0.1
_STANDS_OUT = 5.0
_AROUND = 3  # frames before and after
_PAUSE = 5  # frames without speech around a good place to cut
_EARLIEST_CUT = 0.6  # of the longest clip: from here on the quietest moment is looked for
_CRASHES = 3  # a file at which so many workers died is left out


class Dropped(Exception):
    """Why a file or clip is of no use, in words that are counted."""


@dataclass(frozen=True)
class Recording:
    """A file, or a clip cut from it.

    Attributes:
        name: of the clip (see `geneface.corpus.ClipInfo`).
        speaker: whose it is.
        detections: landmarks of its frames, at 25 fps.
        size: width, height [px].
        audio: [640 T] float32 at 16 kHz.
        transcript: what is said, where known.
    """

    name: str
    speaker: str
    detections: Detections
    size: tuple[int, int]
    audio: np.ndarray
    transcript: Transcript = Transcript()

    @property
    def frames(self) -> int:
        return len(self.detections)

    def moved(self, lag: float) -> "Recording":
        """With sound, and what is known of it, so many frames earlier."""
        samples = round(lag * SAMPLES)
        audio = np.zeros_like(self.audio)
        kept = self.audio[max(0, samples):len(audio) + min(0, samples)]
        audio[max(0, -samples):][:len(kept)] = kept
        return replace(self, audio=audio, transcript=self.transcript.later(-samples / SAMPLE_RATE))

    def part(self, name: str, first: int, end: int) -> "Recording":
        """Frames `first` to `end` as a clip of its own."""
        return replace(self, name=name, detections=self.detections[first:end],
                       audio=self.audio[first * SAMPLES:end * SAMPLES],
                       transcript=self.transcript.between(first / FPS, end / FPS))


def load(source: Source, kept: Path) -> Recording:
    """Landmarks and sound of a file, from `kept` where an earlier run left them.

    Raises:
        Dropped: it cannot be read, has no picture or sound, or brought down the reader before.
    """
    cache = kept / f"{source.name}.npz"
    arrays = _stored(cache, source)
    if arrays is None:
        busy = _mark(kept / f"{source.name}.busy")
        reason = ""
        try:
            arrays = _read(source)
        except Dropped as error:
            reason = str(error)
        except UserError:
            reason = "unreadable"
        except (KeyboardInterrupt, SystemExit):  # the file is not to blame
            busy.unlink(missing_ok=True)
            raise
        arrays = {"source": _identity(source), "dropped": np.array(reason)} | (arrays or {})
        write_atomically(cache, lambda part: np.savez_compressed(part, **arrays))
        busy.unlink(missing_ok=True)
    if reason := str(arrays["dropped"]):
        raise Dropped(reason)
    detections = Detections(**{key[5:]: value for key, value in arrays.items() if key.startswith("face_")})
    return _recording(source, detections, arrays["size"], arrays["audio"])


def _identity(source: Source) -> np.ndarray:
    return np.array([source.size, source.changed])


def _stored(cache: Path, source: Source) -> dict[str, np.ndarray] | None:
    """What an earlier run left of this very file; None where there is nothing or it is damaged."""
    try:
        with np.load(cache, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
            return arrays if np.array_equal(arrays["source"], _identity(source)) else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _mark(path: Path) -> Path:
    """Note that this process works on a file. The note outlives a process that the file kills.

    Raises:
        Dropped: too many have died at it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and len(path.read_text("utf-8").split()) >= _CRASHES:
        raise Dropped(f"brought down the program {_CRASHES} times")
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
    return path


def _read(source: Source) -> dict[str, np.ndarray]:
    """What is kept of a file. Raises Dropped or UserError."""
    info = probe(source.path)
    if not info.has_video:
        raise Dropped("no picture")
    sound = source.path if info.has_audio else source.audio()
    if sound is None:
        raise Dropped("no sound")
    detections = detect_landmarks(read_frames(source.path, FPS), FPS)
    audio = np.round(np.clip(read_audio(sound, SAMPLE_RATE), -1, 1) * _FULL_SCALE).astype(np.int16)
    frames = {f"face_{key}": value for key, value in vars(detections).items()}
    return frames | {"audio": audio[:len(detections) * SAMPLES], "size": np.array([info.width, info.height])}


def _recording(source: Source, detections: Detections, size: np.ndarray, audio: np.ndarray) -> Recording:
    """Raises Dropped where the sound is much shorter than the picture."""
    wanted = len(detections) * SAMPLES
    if len(audio) < wanted - _LATE * SAMPLE_RATE:
        raise Dropped(f"sound ends more than {_LATE:g} s before the picture")
    audio = np.pad(audio.astype(np.float32) / _FULL_SCALE, (0, max(0, wanted - len(audio))))[:wanted]
    try:
        transcript = source.transcript()
    except UserError:
        transcript = Transcript()  # the clip trains without its words
    return Recording(source.name, source.speaker, detections, (int(size[0]), int(size[1])), audio, transcript)


def spoken(audio: np.ndarray) -> np.ndarray:
    """[T] probability of speech in every video frame of `audio` [640 T]."""
    return speech_activity(audio).reshape(-1, SAMPLES // HOP).max(1)


def levels(audio: np.ndarray) -> np.ndarray:
    """[T] RMS of every video frame's sound [640 T]."""
    return np.sqrt(np.mean(audio.reshape(-1, SAMPLES) ** 2, axis=1))


def face_width(detections: Detections) -> float:
    """Median width of the face in the frames that have one [px]."""
    return float(np.median(np.ptp(detections.landmarks[detections.valid][..., 0], axis=1)))


def check(clip: Recording, config: CorpusConfig) -> None:
    """Raises Dropped where the clip is of no use."""
    found = clip.detections
    if clip.frames < _SHORTEST:
        raise Dropped(f"shorter than {_SHORTEST / FPS:.1f} s")
    if found.valid.mean() < config.min_valid:
        raise Dropped(f"a face in less than {100 * config.min_valid:g} % of the frames")
    if (found.faces > 1).mean() > config.max_second_face:
        raise Dropped(f"a second face in more than {100 * config.max_second_face:g} % of the frames")
    if face_width(found) < config.min_face_px:
        raise Dropped(f"the face is less than {config.min_face_px:g} px wide")
    if len(_shots(found)) > 1:
        raise Dropped("the picture jumps to another face")
    if 20 * np.log10(max(levels(clip.audio).max(), 1e-9)) < _QUIETEST_DB:
        raise Dropped("silent")


def cut(recording: Recording, config: CorpusConfig) -> list[Recording]:
    """The recording itself, or where it is longer than `longest_seconds` its parts: cut where the shot changes or the
    face is gone for long, then in pauses."""
    longest = round(config.longest_seconds * FPS)
    if recording.frames <= longest:
        return [recording]
    places: list[tuple[int, int]] = []
    for first, end in _shots(recording.detections):
        while end - first > longest:
            low = first + round(_EARLIEST_CUT * longest)
            audio = recording.audio[low * SAMPLES:(first + longest) * SAMPLES]
            speech = np.convolve(spoken(audio), np.full(_PAUSE, 1 / _PAUSE), "same")
            # The middle of a pause; where nobody pauses, the quietest moment.
            middle = low + int(np.argmin(speech.round(1) + levels(audio) / max(levels(audio).max(), 1e-9)))
            places.append((first, middle))
            first = middle
        places.append((first, end))
    return [recording.part(f"{recording.name}#{k}", first, end) for k, (first, end) in enumerate(places, 1)]


def _shots(found: Detections) -> list[tuple[int, int]]:
    """Runs of frames (first, past the last) that show one face without a jump or a long gap."""
    valid = np.flatnonzero(found.valid)
    if not len(valid):
        return []
    points = found.landmarks[valid]
    width = np.ptp(points[..., 0], axis=1)
    step = np.diff(valid)
    moved = np.sqrt(np.square(np.diff(points, axis=0)).sum(-1).mean(-1))
    moved /= np.maximum(np.minimum(width[1:], width[:-1]), 1) * step
    padded = np.pad(moved, _AROUND)
    around = np.stack([padded[k:k + len(moved)] for k in range(2 * _AROUND + 1) if k != _AROUND]).max(0)
    ends = (step > _GAP) | (moved > _JUMP) | ((moved > _SUDDEN) & (moved > _STANDS_OUT * around))
    if not ends.any():
        return [(0, len(found))]
    firsts = valid[np.concatenate([[True], ends])]
    lasts = valid[np.concatenate([ends, [True]])]
    return list(zip(firsts.tolist(), (lasts + 1).tolist()))
