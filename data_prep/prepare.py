"""Portrait video to prepared person: scan, frames, landmarks, track, masks, background, speech, report."""
from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import date
from pathlib import Path

import numpy as np

from geneface import media
from geneface.assets import file_hash
from geneface.config import PrepareConfig
from geneface.errors import UserError
from geneface.face.basis import load_basis
from geneface.face.landmarks import relative_mouth_opening
from geneface.media import Crop
from geneface.progress import say
from geneface.progress import track as progress
from geneface.report import Verdict
from geneface.speech.sync import correction
from geneface.types import CameraTrack, FaceTrack, PreparedPerson, write_atomically

from . import preflight
from .background import background_plate
from .checks import judge
from .examine import Examination, Source, cut_sound, examine, open_source, stop_if_strict
from .ingest import Scan, scan, write_frames
from .landmarks import Detections, detect_landmarks
from .masks import write_masks
from .segment import PersonSegmenter, Plate, refine
from .shots import Take
from .smooth import fill
from .stages import Data, Manifest, side_by_side, sole_use
from .streams import Sequence, encode_png, read_picture
from .summary import write_report
from .takes import fit_take

_LEAST_VALID = 0.5  # share of frames with a face, below which nothing can be fitted


@contextmanager
def _leaves_nothing(folder: Path) -> Iterator[None]:
    """The folder for this process alone; what a run that fails by the user's hand put into one that was empty or not
    there before is removed."""
    # The outermost of the folders that are made now.
    made = next((parent for parent in reversed([folder, *folder.parents]) if not parent.exists()), None)
    with media.writing(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (NotADirectoryError, FileExistsError) as error:
            raise UserError(f"{folder}: is a file, or lies in one; give a folder with -o") from error
        with sole_use(folder):
            fresh = not any(folder.iterdir())
            try:
                with media.writing(folder):
                    yield
            except UserError:
                if fresh:
                    shutil.rmtree(folder if made is None else made)
                    if made is None:
                        folder.mkdir()
                raise


def prepare(video: str | Path, out: str | Path, config: PrepareConfig = PrepareConfig(),
            consent: str | None = None) -> PreparedPerson:
    """Make a prepared person of a portrait video. A run that was stopped goes on where it was.

    Args:
        video: any container, size and frame rate; one person facing the camera and talking.
        out: the person's folder.
        config: options.
        consent: what the person filmed agreed to, in words; None when nothing is recorded.

    Raises:
        UserError: a video that cannot become an avatar, a folder that holds something else, a full disk.
    """
    video, out = Path(video), Path(out)
    _check_options(config)
    source = open_source(video, config)
    with _leaves_nothing(out):
        run = _Preparation(source, out, config, consent)
        results = run.work()
    # What the stages measured is judged when their work is done: with `strict` it stays, for a run without.
    stop_if_strict(video, run.verdicts, config)
    with media.writing(out):
        return run.finish(*results)


def check(video: str | Path, config: PrepareConfig = PrepareConfig()) -> list[Verdict]:
    """The verdicts on a video that can be had before any long work; nothing is written.

    Raises:
        UserError: a video that cannot become an avatar; with `config.strict`, one that has a warning.
    """
    _check_options(config)
    return examine(open_source(video, config), config).verdicts


def _check_options(config: PrepareConfig) -> None:
    limits = {"size": (64, 4096), "fps": (10, 60), "sample_rate": (16000, 16000), "jpeg_quality": (50, 100),
              "plate_samples": (1, 400), "held_out": (2, 100), "min_seconds": (0.4, 600)}
    for name, (low, high) in limits.items():
        if not low <= getattr(config, name) <= high:
            raise UserError(f"prepare: {name} must lie between {low} and {high}, got {getattr(config, name)}; "
                            "change the option")


class _Preparation:
    """One run: the stages in order."""

    def __init__(self, source: Source, out: Path, config: PrepareConfig, consent: str | None) -> None:
        self.source, self.video, self.out, self.config, self.consent = source, source.path, out, config, consent
        self.manifest = Manifest(out)
        self.frames = Sequence(out / "frames", ".jpg")
        self.masks = Sequence(out / "masks", ".png")
        self.verdicts: list[Verdict] = []

    def work(self) -> tuple[str, Examination, dict[str, Data]]:
        """All stages, and the verdicts; returns the video's hash, what was seen, and what the stages returned."""
        config, manifest = self.config, self.manifest
        digest = file_hash(self.video)
        seen = examine(self.source, config, lambda: Scan.from_json(
            manifest.stage("scan", 4, {"source": digest, "fps": config.fps}, (), (), self._scan)))
        take, crop = seen.take, seen.crop
        self.verdicts += seen.verdicts

        options = {"take": [take.start, take.stop], "crop": crop.to_json(), "size": config.size,
                   "quality": config.jpeg_quality, "interlaced": seen.interlaced}
        cut = manifest.stage("frames", 2, options, ("scan",), ("frames/",),
                             lambda: self._frames(take, crop, seen.interlaced))
        count = cut["frames"]

        def face() -> Data:
            found = manifest.stage("landmarks", 1, {}, ("frames",), ("stages/landmarks.npz",),
                                   lambda: self._landmarks(count))
            if found["valid"] < _LEAST_VALID:
                raise UserError(f"{self.video}: a face was found in only {100 * found['valid']:.0f} % of the frames; "
                                "keep the face in view and well lit")
            return found

        def surroundings() -> Data:
            return manifest.stage("background", 1, {"samples": config.plate_samples}, ("frames",),
                                  ("background.png", "stages/background_seen.png"), lambda: self._background(count))

        def head() -> Data:
            return manifest.stage("track", 1, {"jumps": take.jumps}, ("landmarks",), ("camera.npz", "face.npz"),
                                  lambda: self._track(take))

        def sound() -> tuple[Data, Data]:
            sync = manifest.stage("sync", 1, {"correct": config.correct_sync}, ("landmarks",), (),
                                  lambda: self._sync(seen))
            audio, _ = cut_sound(seen.sound, take, config, sync["shift"])
            return sync, manifest.stage("speech", 3, {"rate": config.sample_rate}, ("frames", "sync"),
                                        ("audio.wav", "speech.npz"), lambda: self._speech(audio))

        found, plate = side_by_side(face, surroundings)
        track, (sync, speech) = side_by_side(head, sound)
        masks = manifest.stage("masks", 2, {"jumps": take.jumps}, ("track", "background"), ("masks/",),
                               lambda: self._masks(take, plate["unrest"]))
        stages = {"frames": cut, "landmarks": found, "track": track, "masks": masks, "background": plate,
                  "sync": sync, "speech": speech}
        manifest.finish()
        self.verdicts += self._late_verdicts(stages)
        return digest, seen, stages

    # Stages ---------------------------------------------------------------------------------------------

    def _scan(self) -> Data:
        return scan(self.video, self.config.fps).to_json()

    def _frames(self, take: Take, crop: Crop, interlaced: bool | None) -> Data:
        preflight.check_room(self.out, len(take), self.config.size)
        count, digest = write_frames(self.video, self.frames, take, crop, self.config.size, self.config.fps,
                                     self.config.jpeg_quality, interlaced)
        return {"frames": count, "sha256": digest}

    def _sync(self, seen: Examination) -> Data:
        """How late the sound is, and by how much it is moved."""
        audio, _ = cut_sound(seen.sound, seen.take, self.config)
        with np.load(self.out / "stages" / "landmarks.npz", allow_pickle=False) as archive:
            landmarks, valid = archive["landmarks"], archive["valid"]
        opening = fill(relative_mouth_opening(landmarks)[:, None], valid)[:, 0]
        offset, shift = correction(opening, audio, self.config.sample_rate, self.config.fps)
        shift = shift if self.config.correct_sync else 0.0
        if shift:
            which = "late" if shift > 0 else "early"
            say(f"{self.video.name}: the sound is {abs(shift):.1f} frames too {which}; moved")
        return {"offset": offset, "shift": shift}

    def _landmarks(self, count: int) -> Data:
        found = detect_landmarks(progress(self.frames.read(range(count)), "Landmarks", count), self.config.fps)
        arrays = {field.name: getattr(found, field.name) for field in fields(found)}

        def write(temporary: Path) -> None:
            with open(temporary, "wb") as file:
                np.savez(file, **arrays)

        write_atomically(self.out / "stages" / "landmarks.npz", write)
        return {"valid": float(found.valid.mean())}

    def _track(self, take: Take) -> Data:
        say("Fitting head and camera ...")
        with np.load(self.out / "stages" / "landmarks.npz", allow_pickle=False) as archive:
            found = Detections(**{name: archive[name] for name in archive.files})
        size = self.config.size
        camera, face, quality = fit_take(found, size, size, self.config.fps, load_basis(), take.jumps)
        camera.save(self.out / "camera.npz")
        face.save(self.out / "face.npz")
        figures = {name: value for name, value in vars(quality).items() if isinstance(value, float)}
        return {**figures, "worst_frames": quality.worst_frames(found.valid, 6)}

    def _background(self, count: int) -> Data:
        say("Background plate ...")
        indices = sorted({int(i) for i in np.linspace(0, count - 1, min(count, self.config.plate_samples))})
        with PersonSegmenter() as segmenter:

            def look(index: int) -> tuple[np.ndarray, np.ndarray]:
                frame = read_picture(self.frames.path(index))
                return frame, np.rint(255 * (1 - refine(segmenter.probability(frame), frame))).astype(np.uint8)

            plate, seen, unrest = background_plate(look, indices)
        seen_picture = np.repeat(seen[..., None] * np.uint8(255), 3, -1)
        for path, picture in ((self.out / "background.png", plate),
                              (self.out / "stages" / "background_seen.png", seen_picture)):
            data = encode_png(picture)
            write_atomically(path, lambda temporary, data=data: temporary.write_bytes(data))
        return {"seen": float(seen.mean()), "unrest": unrest}

    def _masks(self, take: Take, unrest: float) -> Data:
        face = FaceTrack.load(self.out / "face.npz")
        plate = Plate(read_picture(self.out / "background.png"),
                      read_picture(self.out / "stages" / "background_seen.png")[..., 0] > 127, unrest)
        count, digest = write_masks(self.frames, self.masks, face.landmarks, plate, take.jumps)
        return {"masks": count, "sha256": digest}

    def _speech(self, audio: np.ndarray) -> Data:
        from geneface.speech.features import extract

        say("Speech features ...")
        media.write_wav(self.out / "audio.wav", audio, self.config.sample_rate)
        features = extract(audio)
        features.save(self.out / "speech.npz")
        return {"voiced": float((features.voicing > 0.5).mean()), "spoken": float((features.speech > 0.5).mean())}

    # ----------------------------------------------------------------------------------------------------

    def finish(self, digest: str, seen: Examination, stages: dict[str, Data]) -> PreparedPerson:
        """Manifest and report of the work done."""
        config, content = self.config, self.manifest.content
        info, take, crop = self.source.info, seen.take, seen.crop
        camera, face = CameraTrack.load(self.out / "camera.npz"), FaceTrack.load(self.out / "face.npz")
        audio = media.read_audio(self.out / "audio.wav", config.sample_rate)
        offset, count = stages["sync"]["offset"], stages["frames"]["frames"]
        files = ("background.png", "camera.npz", "face.npz", "speech.npz", "audio.wav")
        consent = content.get("consent")
        if self.consent is not None or consent is None:
            consent = {"text": self.consent or "", "date": date.today().isoformat() if self.consent else "",
                       "granted": bool(self.consent)}
        content.update(
            source={"name": self.video.name, "path": str(self.video.resolve()), "sha256": digest,
                    "seconds": info.duration, "fps": info.fps, "width": info.width, "height": info.height,
                    "start_frame": take.start, "stop_frame": take.stop, "interlaced": seen.interlaced},
            width=config.size, height=config.size, size=config.size, fps=config.fps, frames=count,
            train_frames=count * (config.held_out - 1) // config.held_out, crop=crop.to_json(), cuts=list(take.cuts),
            jumps=list(take.jumps), consent=consent, options=vars(config),
            hashes={"frames": stages["frames"]["sha256"], "masks": stages["masks"]["sha256"],
                    **{name: file_hash(self.out / name) for name in files}},
        )
        content["result"] = {
            "frames": count, "fps": config.fps, "seconds": count / config.fps, "size": config.size,
            "frames_per_s": count / max(self.manifest.seconds, 1e-9),
            "reprojection_px": stages["track"].get("reprojection_px"), "jitter_deg": stages["track"].get("jitter_deg"),
            "audio_offset_frames": offset, "audio_moved_frames": stages["sync"]["shift"],
            "cuts": list(take.cuts), "jumps": list(take.jumps),
            "verdicts": {verdict.check: verdict.verdict for verdict in self.verdicts},
            "report": str(self.out / "report.html"),
        }
        write_report(self.out, content, self.verdicts, stages, camera, face, audio)
        content["finished"] = True
        self.manifest.save()
        return PreparedPerson.open(self.out)

    def _late_verdicts(self, stages: dict[str, Data]) -> list[Verdict]:
        """Checks of what the stages measured."""
        error, sync = stages["track"].get("reprojection_px"), stages["sync"]
        verdicts = [] if error is None else [judge("tracking", error * 512 / self.config.size)]
        verdicts.append(judge("every frame tracked", 100 * stages["landmarks"]["valid"]))
        verdicts.append(judge("still background", stages["background"]["unrest"]))
        if sync["shift"]:
            verdicts.append(judge("sound in time", sync["offset"] - sync["shift"],
                                  f"after moving it by {-sync['shift']:+.1f} frames"))
        elif sync["offset"] is not None:
            verdicts.append(judge("sound in time", sync["offset"]))
        return verdicts
