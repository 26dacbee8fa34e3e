"""Portrait videos to prepared person: scan, frames, landmarks, track, background, masks, torso, speech, report."""
from __future__ import annotations

import importlib
import math
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from itertools import chain
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from geneface import media
from geneface.assets import file_hash
from geneface.config import PrepareConfig
from geneface.errors import UserError
from geneface.face.basis import load_basis
from geneface.progress import say
from geneface.progress import track as progress
from geneface.report import Verdict
from geneface.speech.melody import melody
from geneface.speech.vad import load_detector
from geneface.types import FaceTrack, PreparedPerson, SpeechFeatures, require, write_atomically

from .conclude import conclude, late_verdicts
from .footage import Footage, clip_labels, labelled, require_different
from .ingest import Scan, cut_frames, scan
from .layers.alike import plates_apart, thumbnail
from .layers.background import background_plate
from .layers.masks import write_masks
from .layers.segment import PersonSegmenter, Plate, refine
from .layers.torso import write_torso
from .preflight import measure
from .preflight.checks import CHECKS
from .preflight.examine import Source, examine_all, open_source, stop_if_strict
from .stages import Data, Manifest, side_by_side, sole_use
from .streams import Sequence, encode_png, read_picture
from .timing import sound_timing
from .tracking.fit import fit_track, refit_expression
from .tracking.landmarks import STRETCH, Detections, detect_in_stretches
from .tracking.photometric import refine_pose, small_grey

_LEAST_VALID = 0.5  # share of frames with a face, below which nothing can be fitted


@contextmanager
def _leaves_nothing(folder: Path, alone: ExitStack) -> Iterator[None]:
    """The folder for this process alone, until `alone` ends; what a run that fails by the user's hand put into one that
    was empty or not there before is removed."""
    # The outermost of the folders that are made now.
    made = next((parent for parent in reversed([folder, *folder.parents]) if not parent.exists()), None)
    with media.writing(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (NotADirectoryError, FileExistsError) as error:
            raise UserError(f"{folder}: is a file, or lies in one; give a folder with -o") from error
        alone.enter_context(sole_use(folder))
        fresh = not any(folder.iterdir())
        try:
            with media.writing(folder):
                yield
        except UserError:
            if fresh and made is not None:
                shutil.rmtree(made)
            elif fresh:  # the folder itself may be a mount, a link or the working directory
                for path in folder.iterdir():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            raise


def prepare(videos: str | Path | Iterable[str | Path], out: str | Path, config: PrepareConfig = PrepareConfig(),
            consent: str | None = None) -> PreparedPerson:
    """Make a prepared person of a portrait video, or of several of one person in one place. A run that was stopped goes
    on where it was.

    Args:
        videos: any container, size and frame rate; one person facing the camera and talking. Of each the best shot is
            taken; they stand one after another, with a jump where they meet.
        out: the person's folder.
        config: options.
        consent: what the person filmed agreed to, in words; None when nothing is recorded.

    Raises:
        UserError: a video that cannot become an avatar, clips that do not go together, a folder that holds something
            else, a full disk.
    """
    out = Path(out)
    _check_options(config)
    sources = _open_sources(videos, config)
    with ExitStack() as alone:
        with _leaves_nothing(out, alone):
            run = _Preparation(sources, out, config)
            # Our matrices are small: a second thread only waits for the first, seven times as long as the work takes.
            with threadpool_limits(1, "blas"):
                results = run.work()
        # What the stages measured is judged when their work is done: with `strict` it stays, for a run without.
        stop_if_strict(run.name, run.verdicts, config)
        with media.writing(out):
            return conclude(run.manifest, *results, run.verdicts, config, consent)


def check(videos: str | Path | Iterable[str | Path], config: PrepareConfig = PrepareConfig()) -> list[Verdict]:
    """The verdicts on videos that can be had before any long work; nothing is written.

    Raises:
        UserError: a video that cannot become an avatar; with `config.strict`, one that has a warning.
    """
    _check_options(config)
    sources = _open_sources(videos, config)
    return labelled(clip_labels(sources), [seen.verdicts for seen in examine_all(sources, config)])


def _open_sources(videos: str | Path | Iterable[str | Path], config: PrepareConfig) -> list[Source]:
    videos = [videos] if isinstance(videos, (str, Path)) else list(videos)
    require(len(videos) > 0, "videos: none given")
    return [open_source(Path(video), config) for video in videos]


def _check_options(config: PrepareConfig) -> None:
    limits = {"size": (64, 4096), "fps": (10, 60), "sample_rate": (16000, 16000), "jpeg_quality": (50, 100),
              "plate_samples": (1, 400), "held_out": (2, 100), "min_seconds": (0.4, 600)}
    for name, (low, high) in limits.items():
        if not low <= getattr(config, name) <= high:
            raise UserError(f"option {name}: must lie between {low} and {high}, got {getattr(config, name)}; change it")
    if config.segmenter and not Path(config.segmenter).is_file():
        raise UserError(f"{config.segmenter}: no such segmentation model; leave the option segmenter empty, or give the "
                        "file's path")


class _Preparation:
    """One run: the stages in order."""

    def __init__(self, sources: list[Source], out: Path, config: PrepareConfig) -> None:
        self.sources, self.out, self.config = sources, out, config
        self.labels = clip_labels(sources)
        self.name = sources[0].path if len(sources) == 1 else out
        self.manifest = Manifest(out)
        self.frames = Sequence(out / "frames", ".jpg")
        self.masks = Sequence(out / "masks", ".png")
        self.torso = Sequence(out / "torso", ".png")
        self.verdicts: list[Verdict] = []

    def work(self) -> tuple[Footage, dict[str, Data]]:
        """All stages, and the verdicts; returns what the person is made of, and what the stages returned."""
        config, manifest = self.config, self.manifest
        footage = self._look_through()
        clips, jumps, count = footage.clips, footage.jumps, len(footage)
        starts = tuple(clip.first for clip in clips[1:])
        self.verdicts += labelled(self.labels, [clip.seen.verdicts for clip in clips])
        model = {"segmenter": file_hash(Path(config.segmenter))} if config.segmenter else {}

        cuts = [{"take": [clip.seen.take.start, clip.seen.take.stop], "crop": clip.seen.crop.to_json(),
                 "interlaced": clip.seen.interlaced} for clip in clips]
        cut = manifest.stage("frames", 3, {"cuts": cuts, "size": config.size, "quality": config.jpeg_quality},
                             self._scans, ("frames/",), lambda: self._frames(footage))

        def face() -> Data:
            found = manifest.stage("landmarks", 1, {}, ("frames",), ("stages/landmarks.npz",),
                                   lambda: self._landmarks(count))
            self._require_faces(footage)
            return found

        heard = {"takes": [[clip.seen.take.start, clip.seen.take.stop] for clip in clips], "rate": config.sample_rate,
                 "voice_activity": "by level" if load_detector() is None else "detector"}

        def surroundings() -> Data:
            return manifest.stage("background", 1, {"samples": config.plate_samples, **model}, ("frames",),
                                  ("background.png", "stages/background_seen.png"), lambda: self._background(footage))

        def head() -> Data:
            return manifest.stage("track", 4, {"jumps": jumps, "photometric": config.photometric}, ("landmarks",),
                                  ("camera.npz", "face.npz"), lambda: self._track(jumps))

        def sound() -> Data:
            return manifest.stage("sound", 1, heard, self._scans, ("stages/sound.npz",), lambda: self._sound(footage))

        if len(clips) > 1:
            self._require_alike(surroundings())  # before anything long
        _load_libraries()
        found, plate = side_by_side(face, surroundings)
        track, _ = side_by_side(head, sound)
        sync = manifest.stage("sync", 5, {"correct": config.correct_sync}, ("track", "sound"), (),
                              lambda: self._sync(footage))
        speech = manifest.stage("speech", 7, {**heard, "shifts": sync["shifts"]}, self._scans,
                                ("audio.wav", "speech.npz"), lambda: self._speech(footage, sync["shifts"]))
        masks = manifest.stage("masks", 7, {"jumps": jumps, "starts": starts, **model}, ("track", "background"),
                               ("masks/",), lambda: self._masks(jumps, starts, plate["unrest"]))
        torso = manifest.stage("torso", 3, {"jumps": jumps}, ("masks",), ("torso/",), lambda: self._torso(jumps))
        stages = {"frames": cut, "landmarks": found, "track": track, "masks": masks, "torso": torso,
                  "background": plate, "sync": sync, "speech": speech}
        manifest.finish()
        self.verdicts += late_verdicts(stages, self.labels, config)
        return footage, stages

    def _look_through(self) -> Footage:
        hashes = [file_hash(source.path) for source in self.sources]
        require_different(self.sources, hashes)
        self._scans = tuple("scan" if index == 0 else f"scan {index + 1}" for index in range(len(hashes)))
        stages = {source.path: (name, digest) for source, name, digest in zip(self.sources, self._scans, hashes)}

        def look(source: Source) -> Scan:
            name, digest = stages[source.path]
            return Scan.from_json(self.manifest.stage(
                name, 4, {"source": digest, "fps": self.config.fps}, (), (),
                lambda: scan(source.path, self.config.fps).to_json()))

        return Footage.of(self.sources, hashes, examine_all(self.sources, self.config, look))

    # Stages ---------------------------------------------------------------------------------------------

    def _frames(self, footage: Footage) -> Data:
        measure.check_room(self.out, len(footage), self.config.size)
        self.frames.clear()
        count, digest = self.frames.write(chain.from_iterable(
            cut_frames(clip.source.path, clip.seen.take, clip.seen.crop, self.config.size, self.config.fps,
                       self.config.jpeg_quality, clip.seen.interlaced) for clip in footage.clips))
        if count != len(footage):
            raise UserError(f"{self.name}: changed while it was read ({count} frames instead of {len(footage)}); copy "
                            "the file, and prepare the copy")
        return {"frames": count, "sha256": digest}

    def _detections(self) -> Detections:
        with np.load(self.out / "stages" / "landmarks.npz", allow_pickle=False) as archive:
            return Detections(**{name: archive[name] for name in archive.files})

    def _require_faces(self, footage: Footage) -> None:
        """Raises UserError where a clip shows too few faces to be fitted."""
        valid = self._detections().valid
        for clip in footage.clips:
            share = float(valid[clip.frames].mean())
            if share < _LEAST_VALID:
                raise UserError(f"{clip.source.path}: a face was found in only {100 * share:.0f} % of the frames; keep "
                                "the face in view and well lit")

    def _require_alike(self, plate: Data) -> None:
        """Raises UserError where the clips' backgrounds have nothing to do with each other."""
        if CHECKS["same background"].unusable(plate["apart"]):
            raise UserError(f"{self.name}: the clips ({', '.join(self.labels)}) show different backgrounds (by "
                            f"{plate['apart']:.0f} of 255 grey levels); an avatar has one: give clips filmed in one "
                            "place with one framing, or prepare each by itself")

    def _sound(self, footage: Footage) -> Data:
        from geneface.speech.features import extract

        say("Speech features ...")
        extract(footage.sound(self.config, [0.0] * len(footage.clips))).save(self.out / "stages" / "sound.npz")
        return {}

    def _sync(self, footage: Footage) -> Data:
        """How late the sound of each clip is, and by how much it is moved."""
        speech = SpeechFeatures.load(self.out / "stages" / "sound.npz")
        expression = FaceTrack.load(self.out / "face.npz").expression
        timings, fps, tune = [], self.config.fps, melody(speech)
        for clip, label in zip(footage.clips, self.labels):
            first, end = (round(frame * speech.fps / fps) for frame in (clip.first, clip.first + len(clip.seen.take)))
            timing = sound_timing(speech.content[first:end], tune[first:end], expression[clip.frames], fps)
            if not self.config.correct_sync:
                timing = replace(timing, shift=0.0)
            if timing.shift:
                which = "late" if timing.shift > 0 else "early"
                say(f"{label}: the sound is {abs(timing.shift):.1f} frames too {which}; moved")
            timings.append(timing)
        return {"offsets": [timing.offset for timing in timings], "shifts": [timing.shift for timing in timings],
                "drifts": [timing.drift for timing in timings]}

    def _landmarks(self, count: int) -> Data:
        stretches = detect_in_stretches(self.frames.read, count, self.config.fps)
        found = Detections.joined(progress(stretches, "Landmarks", math.ceil(count / STRETCH), "stretches"))
        arrays = {field.name: getattr(found, field.name) for field in fields(found)}

        def write(temporary: Path) -> None:
            with open(temporary, "wb") as file:
                np.savez(file, **arrays)

        write_atomically(self.out / "stages" / "landmarks.npz", write)
        return {"valid": float(found.valid.mean())}

    def _track(self, jumps: tuple[int, ...]) -> Data:
        say("Fitting head and camera ...")
        found = self._detections()
        size = self.config.size
        camera, face, quality = fit_track(found, size, size, self.config.fps, load_basis(), jumps=jumps)
        figures = quality.summary()
        if self.config.photometric:
            camera, refined = refine_pose(lambda index: small_grey(self.frames.path(index), size), camera, face,
                                          load_basis(), jumps)
            if refined.samples:  # the lips stay where they are seen
                raw_jitter = quality.raw_jitter_deg
                face, quality = refit_expression(found, camera, face, quality.person, load_basis(), jumps=jumps)
                figures = {**quality.summary(), "raw_jitter_deg": raw_jitter}
            figures.update(vars(refined))
        camera.save(self.out / "camera.npz")
        face.save(self.out / "face.npz")
        return figures

    def _background(self, footage: Footage) -> Data:
        say("Background plate ...")
        indices = footage.spread(self.config.plate_samples)
        thumbnails: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        with PersonSegmenter(self.config.segmenter) as segmenter:

            def look(index: int) -> tuple[np.ndarray, np.ndarray]:
                frame = read_picture(self.frames.path(index))
                alpha = np.rint(255 * (1 - refine(segmenter.probability(frame), frame))).astype(np.uint8)
                thumbnails[index] = thumbnail(frame), thumbnail(alpha)
                return frame, alpha

            plate, seen, unrest = background_plate(look, indices)
        seen_picture = np.repeat(seen[..., None] * np.uint8(255), 3, -1)
        for path, picture in ((self.out / "background.png", plate),
                              (self.out / "stages" / "background_seen.png", seen_picture)):
            data = encode_png(picture)
            write_atomically(path, lambda temporary, data=data: temporary.write_bytes(data))
        apart = plates_apart(thumbnails, [clip.frames for clip in footage.clips])
        return {"seen": float(seen.mean()), "unrest": unrest, "apart": apart}

    def _masks(self, jumps: tuple[int, ...], starts: tuple[int, ...], unrest: float) -> Data:
        face = FaceTrack.load(self.out / "face.npz")
        plate = Plate(read_picture(self.out / "background.png"),
                      read_picture(self.out / "stages" / "background_seen.png")[..., 0] > 127, unrest)
        count, digest = write_masks(self.frames, self.masks, face.landmarks, plate, jumps, starts, face.fps,
                                    self.config.segmenter)
        return {"masks": count, "sha256": digest}

    def _torso(self, jumps: tuple[int, ...]) -> Data:
        landmarks = FaceTrack.load(self.out / "face.npz").landmarks
        plate = read_picture(self.out / "background.png")
        count, digest = write_torso(self.frames, self.masks, self.torso, landmarks, plate, jumps)
        return {"torso": count, "sha256": digest}

    def _speech(self, footage: Footage, shifts: list[float]) -> Data:
        audio = footage.sound(self.config, shifts)
        if any(shifts):
            from geneface.speech.features import extract

            features = extract(audio)
        else:  # heard already
            features = SpeechFeatures.load(self.out / "stages" / "sound.npz")
        media.write_wav(self.out / "audio.wav", audio, self.config.sample_rate)
        features.save(self.out / "speech.npz")
        return {"voiced": float((features.voicing > 0.5).mean()), "spoken": float((features.speech > 0.5).mean()),
                "pitch_agreement": features.pitch_agreement}


def _load_libraries() -> None:
    """Load what the threads use before they begin: one stumbles over what is half loaded in another."""
    for name in ("geneface.speech.features", "mediapipe.tasks.python.vision", "scipy.ndimage",
                 "scipy.spatial.transform"):
        importlib.import_module(name)
