"""A folder of talking clips -> a motion corpus (see `geneface.motion.corpus` for the file).

Stages, each kept on disk and skipped when it is there: detection of landmarks clip by clip; fit of the head basis with
one identity and focal length per speaker; speech features of several renderings of the audio. A speaker is a folder of
clips.
"""
from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geneface.config import MotionConfig
from geneface.errors import UserError
from geneface.media import probe, read_audio, read_frames
from geneface.motion.corpus import FILE_NAME, read_split, write_corpus
from geneface.motion.inputs import melody
from geneface.progress import say, track
from geneface.speech.features import extract
from geneface.types import SpeechFeatures, write_atomically

from . import augment
from .landmarks import Detections, detect_landmarks

VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m4v"}
FPS = 25.0
SAMPLE_RATE = 16000  # [Hz]
_FULL_SCALE = 32767
_SAMPLES = int(SAMPLE_RATE / FPS)  # per video frame
_SHORTEST = 12  # frames
_FEWEST_VALID = 0.9  # share of frames with a face
_QUIETEST_DB = -55.0  # level of the loudest 20 ms [dB full scale] below which a clip has no speech
_SESSION = 20  # clips joined to one recording in the altered renderings
_MARGIN = (3, 20)  # video frames kept of the silence around the sentence when clips are joined


@dataclass(frozen=True)
class Clip:
    """A clip that passed the checks.

    Attributes:
        name: path below the corpus folder, without suffix.
        speaker: name of its folder.
        detections: landmarks of its frames.
        size: width, height [px].
        audio: [640 T] float32 at 16 kHz.
    """

    name: str
    speaker: str
    detections: Detections
    size: tuple[int, int]
    audio: np.ndarray

    @property
    def frames(self) -> int:
        return len(self.detections.landmarks)


class _Dropped(Exception):
    """Why a clip is of no use."""


def find_clips(folder: Path) -> list[Path]:
    """All video files below `folder`, sorted. Raises UserError where there are none."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give a folder of talking clips")
    clips = sorted(p for p in folder.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file())
    if not clips:
        raise UserError(f"{folder}: holds no video clip ({', '.join(sorted(VIDEO_SUFFIXES))})")
    return clips


def split(names: Iterable[str], every: int) -> np.ndarray:
    """[C] bool: one clip of `every` is held out, chosen by the hash of its name: the same when the corpus grows."""
    return np.array([int(hashlib.sha256(name.encode()).hexdigest(), 16) % every == 0 for name in names])


def prepare_corpus(folder: str | Path, out: str | Path, config: MotionConfig = MotionConfig(),
                   split_file: str | Path | None = None) -> dict:
    """Prepare a corpus.

    Args:
        folder: talking clips, each speaker in a folder of their own (or one speaker's clips directly).
        out: folder for the corpus file and the kept stages.
        split_file: names of the clips to hold out; by default one of `config.held_out_every` by hash.

    Returns:
        clips, held_out, frames, seconds, dropped {reason: count}, corpus (path of the file).

    Raises:
        UserError: no clips, or none of use.
    """
    folder, out = Path(folder), Path(out)
    files = find_clips(folder)
    dropped: Counter[str] = Counter()
    clips: list[Clip] = []
    for file in track(files, "finding faces", unit="clips"):
        try:
            clips.append(_load_clip(file, folder, out / "clips"))
        except (_Dropped, UserError) as error:
            reason = str(error) if isinstance(error, _Dropped) else "unreadable"
            dropped[reason] += 1
    if not clips:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in dropped.most_common())
        raise UserError(f"{folder}: no clip is of use: {reasons}")
    from .corpus_fit import fit_speakers

    expression, kept = fit_speakers(clips, out / "fits", dropped)
    clips = [clips[i] for i in kept]
    if not clips:
        raise UserError(f"{folder}: no clip could be tracked; use clips in which the face is large and sharp")
    names = [clip.name for clip in clips]
    held_out = read_split(Path(split_file), names) if split_file else split(names, config.held_out_every)
    starts = np.concatenate([[0], np.cumsum([clip.frames for clip in clips])])
    renderings = []
    for number in track(range(config.renderings), "speech features", unit="renderings"):
        renderings.append(_rendering(number, clips, starts, out / "renderings", config.seed))
    info = {"folder": folder.name, "clips": len(clips), "speakers": sorted({clip.speaker for clip in clips}),
            "held_out": int(held_out.sum()), "frames": int(starts[-1]), "seconds": round(float(starts[-1] / FPS), 1),
            "dropped": dict(dropped), "renderings": config.renderings, "sha256": _digest(clips, expression)}
    write_corpus(out / FILE_NAME, names, starts, held_out, np.concatenate(expression), renderings, info)
    write_atomically(out / "held_out.txt", lambda part: part.write_text(
        "".join(f"{name}\n" for name, test in zip(names, held_out) if test), "utf-8"))
    for reason, count in dropped.most_common():
        say(f"dropped {count} clips: {reason}")
    shown = {key: info[key] for key in ("clips", "held_out", "frames", "seconds", "dropped")}
    return shown | {"corpus": str(out / FILE_NAME)}


def _digest(clips: list[Clip], expression: list[np.ndarray]) -> str:
    """Of names, audio and motion: what a model was trained on."""
    digest = hashlib.sha256()
    for clip, weights in zip(clips, expression):
        digest.update(clip.name.encode())
        digest.update(clip.audio.tobytes())
        digest.update(np.round(weights, 3).astype(np.float32).tobytes())
    return digest.hexdigest()


def _load_clip(file: Path, folder: Path, kept: Path) -> Clip:
    """Detections and audio of one clip, from `kept` where they are there. Raises _Dropped or UserError."""
    relative = file.relative_to(folder).with_suffix("")
    name = relative.as_posix()
    speaker = relative.parent.as_posix() if relative.parent != Path(".") else folder.name
    cache = kept / f"{name.replace('/', '__')}.npz"
    if cache.is_file():
        with np.load(cache, allow_pickle=False) as stored:
            reason = str(stored["dropped"])
            if reason:
                raise _Dropped(reason)
            detections = Detections(**{key[5:]: stored[key] for key in stored.files if key.startswith("face_")})
            return Clip(name, speaker, detections, tuple(int(x) for x in stored["size"]),
                        _samples(stored["audio"]))
    arrays: dict[str, np.ndarray] = {}
    reason = ""
    try:
        info = probe(file)
        if not info.has_audio:
            raise _Dropped("no sound")
        detections = detect_landmarks(read_frames(file, FPS), FPS)
        audio = _check(detections, read_audio(file, SAMPLE_RATE))
        arrays = {f"face_{key}": value for key, value in vars(detections).items() if isinstance(value, np.ndarray)}
        stored_audio = np.round(np.clip(audio, -1, 1) * _FULL_SCALE).astype(np.int16)
        arrays |= {"audio": stored_audio, "size": np.array([info.width, info.height])}
    except _Dropped as error:
        reason = str(error)
    write_atomically(cache, lambda part: np.savez_compressed(part, dropped=np.array(reason), **arrays))
    if reason:
        raise _Dropped(reason)
    # As it will be read back, so that a resumed run sees the same.
    return Clip(name, speaker, detections, (info.width, info.height), _samples(stored_audio))


def _samples(stored: np.ndarray) -> np.ndarray:
    """16-bit integers -> float32 in [-1, 1]."""
    return stored.astype(np.float32) / _FULL_SCALE


def _check(detections: Detections, audio: np.ndarray) -> np.ndarray:
    """The clip's audio, cut or padded to the video's length [640 T]. Raises _Dropped."""
    frames = len(detections.landmarks)
    if frames < _SHORTEST:
        raise _Dropped(f"shorter than {_SHORTEST / FPS:.1f} s")
    if detections.valid.mean() < _FEWEST_VALID:
        raise _Dropped("no face in more than a tenth of the frames")
    if len(audio) < (frames - FPS / 2) * _SAMPLES:
        raise _Dropped("sound ends more than half a second before the picture")
    audio = np.pad(audio, (0, max(0, frames * _SAMPLES - len(audio))))[:frames * _SAMPLES]
    if 20 * np.log10(max(_levels(audio).max(), 1e-9)) < _QUIETEST_DB:
        raise _Dropped("silent")
    return audio.astype(np.float32)


def _levels(audio: np.ndarray) -> np.ndarray:
    """[T] RMS of every video frame's audio."""
    return np.sqrt(np.mean(audio.reshape(-1, _SAMPLES) ** 2, axis=1))


def _rendering(number: int, clips: list[Clip], starts: np.ndarray, kept: Path,
               seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Content, melody and range of rendering `number` of the whole corpus (see `geneface.motion.corpus`).

    0: every clip as it is, alone. 1: sentences joined in random order at random places of the encoder's window, as in
    running speech. From 2 on: joined, in other voices, rooms and noise as well.
    """
    identity = hashlib.sha256(json.dumps([number, seed, [(c.name, c.frames) for c in clips]]).encode()).hexdigest()
    cache = kept / f"{number}.npz"
    if cache.is_file():
        with np.load(cache, allow_pickle=False) as stored:
            if str(stored["identity"]) == identity:
                return stored["content"], stored["melody"], stored["range"]
    content = np.zeros((2 * starts[-1], 512), np.float16)
    tune = np.zeros((2 * starts[-1], 3), np.float32)
    covered = np.zeros((len(clips), 2), np.int64)

    def store(i: int, features: SpeechFeatures, at: int) -> None:
        """Frames `covered[i]` of clip i are in `features` from feature frame 2 `at` on."""
        low, high = covered[i]
        here, there = slice(2 * (starts[i] + low), 2 * (starts[i] + high)), slice(2 * at, 2 * (at + high - low))
        content[here] = features.content[there]
        tune[here] = melody(features)[there]

    if number == 0:
        for i, clip in enumerate(clips):
            covered[i] = 0, clip.frames
            store(i, extract(clip.audio), 0)
    else:
        random = np.random.default_rng([seed, number])
        order = random.permutation(len(clips))
        for first in range(0, len(order), _SESSION):
            session = order[first:first + _SESSION]
            audio, places = _join([clips[i] for i in session], session, covered, random, altered=number > 1)
            features = extract(audio)
            for i, at in zip(session, places):
                store(i, features, at)
    write_atomically(cache, lambda part: np.savez(part, content=content, melody=tune, range=covered,
                                                   identity=np.array(identity)))
    return content, tune, covered


def _join(clips: list[Clip], indices: np.ndarray, covered: np.ndarray, random: np.random.Generator,
          altered: bool) -> tuple[np.ndarray, list[int]]:
    """One recording of several clips, most of the silence around their sentences cut.

    Fills `covered` at `indices`. Returns the audio and the video frame of it at which every clip's covered part begins.
    """
    place = int(random.integers(0, int(3 * FPS)))
    parts, places = [np.zeros(place * _SAMPLES, np.float32)], []
    semitones = float(random.uniform(-5, 7)) if altered else 0.0
    for clip, i in zip(clips, indices):
        level = _levels(clip.audio)
        spoken = np.flatnonzero(level > 0.05 * level.max())
        low = max(0, int(spoken[0]) - int(random.integers(*_MARGIN)))
        high = min(clip.frames, int(spoken[-1]) + 1 + int(random.integers(*_MARGIN)))
        covered[i] = low, high
        audio = clip.audio[low * _SAMPLES:high * _SAMPLES]
        if altered:
            shifted = augment.shift_voice(audio, semitones)[:len(audio)]
            audio = np.pad(shifted, (0, len(audio) - len(shifted)))
        parts.append(audio * 10 ** (random.uniform(-6, 6) / 20))
        places.append(place)
        place += high - low
    audio = np.concatenate(parts).astype(np.float32)
    if altered:
        audio = augment.equalise(audio, random)
        if random.uniform() < 0.4:
            audio = augment.reverberate(audio, random)
        if random.uniform() < 0.7:
            audio = augment.add_noise(audio, float(random.uniform(8, 35)), random)
    return audio, places
