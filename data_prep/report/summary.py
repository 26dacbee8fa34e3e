"""What preparation found, for people: report.html and report.json of a prepared person."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from geneface.face.basis import load_basis
from geneface.face.landmarks import MEDIAPIPE_TO_68, relative_mouth_opening
from geneface.report import Report, Section, Verdict, scaled
from geneface.types import CameraTrack, FaceTrack, SpeechFeatures

from ..streams import Sequence, ordered_map, read_picture
from . import coverage, plots
from .overlay import cut_out, fitted_points, occluded, on_colour, overlay

_SPREAD = 6  # still frames
_WORST = 6
_APART = 8  # frames between two of the worst
_PICTURE = 320  # height of stills [px]
_VIDEO = 384  # height of the videos [px]
_SPOKEN_SECONDS = 5.0
_WHOLE_FRAMES = 60  # of the whole recording, in five seconds
_WHOLE_FPS = 12.0
_GREEN = (0, 200, 0)
_HALF = (6.0, 4.2)  # inches of a plot beside another


class Summary:
    """The report of one person's preparation.

    Args:
        out: the person's folder.
        manifest: with its `result`.
        verdicts: of all checks.
        stages: what each stage returned.
        camera, face: the tracks.
        audio: [N] float32 at the configured rate.
    """

    def __init__(self, out: Path, manifest: dict[str, Any], verdicts: list[Verdict], stages: dict[str, dict[str, Any]],
                 camera: CameraTrack, face: FaceTrack, audio: np.ndarray) -> None:
        self.out, self.manifest, self.verdicts, self.stages = out, manifest, verdicts, stages
        self.camera, self.face, self.audio = camera, face, audio
        self.result, self.fps, self.count = manifest["result"], float(manifest["result"]["fps"]), len(face)
        self.rate = manifest["options"]["sample_rate"]
        self.speech = SpeechFeatures.load(out / "speech.npz")
        self.frames, self.masks = Sequence(out / "frames", ".jpg"), Sequence(out / "masks", ".png")
        self.fitted = fitted_points(camera, face, load_basis())
        self.opening = relative_mouth_opening(face.landmarks)
        self.angles = coverage.head_angles(camera)
        self.shapes = coverage.mouth_shapes(face.landmarks)
        self.reference = coverage.load_reference()

    def write(self) -> Path:
        """Write report.html and report.json; returns the page's path."""
        result, manifest = self.result, self.manifest
        report = Report(f"Prepared: {manifest['source']['name']}",
                        f"{result['frames']} frames of {result['size']} px at {result['fps']:g} fps, "
                        f"{result['seconds']:.1f} s; the last {self.count - manifest['train_frames']} measure, the "
                        "others train")
        gaps = self._gaps()
        self._advice(report.section("What would make it better"), gaps)
        self._tracking(report.section("What was found"))
        self._parts(report.section("Head, torso and background"))
        self._coverage(report.section("What the recording covers"), gaps)
        self._over_time(report.section("Over time"))
        report.section("Checks").verdicts(self.verdicts)
        self._figures(report.section("Figures"))
        self._origin(report.section("Origin"))
        data = {**result, "checks": self.verdicts, "lacking": gaps, "pose_reach_degrees": coverage.reaches(self.angles),
                "mouth_shapes_lacking": self.reference.lacking(self.shapes),
                "blinks": coverage.count_blinks(self.face.eye_open),
                **{key: manifest[key] for key in ("stages", "source", "crop", "consent")}}
        return report.save(self.out / "report.html", data)

    def _gaps(self) -> list[str]:
        return [*coverage.pose_gaps(self.angles), *coverage.shape_gaps(self.shapes, self.reference),
                *coverage.habit_gaps(self.face.eye_open, self.fps, self.speech.speech, self.speech.fps)]

    # Sections -------------------------------------------------------------------------------------------

    def _advice(self, section: Section, gaps: list[str]) -> None:
        passed = sum(verdict.verdict == "ok" for verdict in self.verdicts)
        points = [f"{verdict.check} ({verdict.value}): {verdict.advice}" for verdict in self.verdicts
                  if verdict.verdict != "ok" and verdict.advice] + gaps
        rest = "What did not, and what the recording lacks:" if points else "Nothing is lacking that could be measured."
        section.text(f"{passed} of {len(self.verdicts)} checks passed. {rest}")
        if points:
            section.points(points)

    def _tracking(self, section: Section) -> None:
        first = self._liveliest()
        spoken = range(first, min(first + round(_SPOKEN_SECONDS * self.fps), self.count))
        start, stop = (round(edge / self.fps * self.rate) for edge in (spoken.start, spoken.stop))
        sound = self.audio[start:stop]
        heard = bool(sound.any())
        section.video(
            self._overlays(spoken, _VIDEO), self.fps,
            f"{spoken.start / self.fps:.1f} to {spoken.stop / self.fps:.1f} s{', with sound' if heard else ''}: detected landmarks as dots "
            "(lips red), the fitted head as white lines, head outlined in green, torso in violet, what hides them in "
            "orange",
            sound if heard else None, self.rate)
        spread = self._spread(_WHOLE_FRAMES)
        if self.count > 2 * len(spoken):
            section.video(self._overlays(spread, _VIDEO), _WHOLE_FPS,
                          f"The whole recording in {len(spread) / _WHOLE_FPS:.0f} seconds")
        spread = self._spread(_SPREAD)
        section.gallery([(picture, self._moment(index)) for index, picture
                         in zip(spread, self._overlays(spread, _PICTURE))], "Evenly spread frames")
        worst = self.worst()
        section.gallery([(picture, f"{self._moment(index)}: {reason}") for (index, reason), picture
                         in zip(worst, self._overlays([index for index, _ in worst], _PICTURE))],
                        "Frames to look at first")

    def _parts(self, section: Section) -> None:
        middle = self._spread(_SPREAD)[_SPREAD // 2 if self.count > _SPREAD else 0]
        frame, mask = read_picture(self.frames.path(middle)), read_picture(self.masks.path(middle))
        shown = [(frame, self._moment(middle)), (cut_out(frame, mask, 0, _GREEN), "head"),
                 (cut_out(frame, mask, 1, _GREEN), "neck and torso as seen")]
        shown.append((read_picture(self.out / "background.png"), "clean background plate"))
        seen = self.out / "stages" / "background_seen.png"
        if seen.is_file() and self.stages["background"]["seen"] < 0.999:
            share = 100 * self.stages["background"]["seen"]
            shown.append((read_picture(seen), f"of the plate, {share:.0f} % (white) was seen at some time; the rest is "
                          "filled in smoothly"))
        section.gallery([(scaled(picture, _PICTURE), words) for picture, words in shown])
        torsos = [(index, self.out / "torso" / f"{index:06d}.png") for index in self._spread(_SPREAD)]
        section.gallery([(scaled(on_colour(_read_rgba(path), _GREEN), _PICTURE), self._moment(index))
                         for index, path in torsos if path.is_file()],
                        "Neck and torso with what the head hides filled in")
        hidden = sorted(self._hidden().items(), key=lambda item: -item[1])
        if hidden and hidden[0][1] > 0.002:
            worst = sorted(index for index, share in hidden[:4] if share > 0.002)
            section.gallery([(picture, self._moment(index)) for index, picture
                             in zip(worst, self._overlays(worst, _PICTURE))],
                            "Outlined in orange: what hides the person, left out of training and measuring")

    def _coverage(self, section: Section, gaps: list[str]) -> None:
        reach = coverage.reaches(self.angles)
        section.plot(plots.poses(self.angles),
                     f"Head directions: {reach['left']:.0f} degrees to the left and {reach['right']:.0f} to the right "
                     f"in the picture, {reach['up']:.0f} up and {reach['down']:.0f} down, from the usual direction "
                     "(cross). The dashed frame is what a recording should show; beyond what it shows the avatar "
                     "guesses.", _HALF)
        lacking = self.reference.lacking(self.shapes)
        section.plot(plots.shapes(self.shapes, self.reference),
                     f"Mouth shapes: {int(100 * (1 - lacking))} % of those of natural speech occur here; crosses mark "
                     "those that do not (grey: natural speech, coloured: this recording). Unit: the width of the mouth "
                     "at rest.", _HALF)
        if not gaps:
            section.text("Head directions, mouth shapes, blinks and pauses are all there.")

    def _over_time(self, section: Section) -> None:
        time, jumps = np.arange(self.count) / self.fps, [jump / self.fps for jump in self.manifest.get("jumps", [])]
        level = loudness(self.audio, self.rate, self.fps, self.count)
        aligned = plots.clearest_closures(self.opening, level, self.fps)
        offset = self.result["audio_offset_frames"]
        if offset is None:
            told = "whether the sound is in time could not be told"
        else:
            told = f"over the recording the sound is {abs(offset):.1f} frames {'late' if offset > 0 else 'early'}"
        moved = self.result.get("audio_moved_frames") or 0
        if moved:
            told += f" and was moved by {-moved:+.1f} frames"
        section.plot(plots.alignment(self.audio, self.rate, self.opening, self.fps, aligned),
                     f"Sound and mouth, {aligned.start / self.fps:.1f} to {aligned.stop / self.fps:.1f} s: where the "
                     "lips are shut (grey), as in m, b and p, the sound should be weak, and burst out where they part; "
                     f"{told}", (11, 3.6), 2)
        section.plot(plots.over_time(time, {"mouth opening": self.opening / max(self.opening.max(), 1e-6),
                                            "loudness": (level + 60) / 60}, "relative", jumps),
                     "Mouth and sound: they rise together")
        section.plot(plots.over_time(time, {"turn right": self.angles[:, 0], "nod up": self.angles[:, 1],
                                            "tilt": self.angles[:, 2]}, "degrees", jumps), "Head pose")
        noise = 512 / self.result["size"]
        raw, fitted = (plots.trembling(points, self.face.valid, self.manifest.get("jumps", []), self.fps) * noise
                       for points in (plots.rigid(self.face.landmarks), plots.rigid(self.fitted)))
        figures = self.stages["track"]
        told = ", ".join(f"{words} {figures[name]:.3g}{unit}" for name, words, unit in (
            ("raw_jitter_deg", "rotation trembles by", "° before"), ("jitter_deg", "and", "° after smoothing"),
            ("noise_ratio", "noise lower by a factor of", ""), ("lag_frames", "lag", " frames"))
            if isinstance(figures.get(name), (int, float)))
        section.plot(plots.over_time(time, {"detected": raw, "fitted": fitted}, "px at 512", jumps),
                     f"Trembling of nose and eye corners, without their movement{'; ' if told else ''}{told}")
        section.plot(plots.over_time(time, {"left in the picture": self.face.eye_open[:, 0],
                                            "right in the picture": self.face.eye_open[:, 1]}, "1 = open", jumps),
                     f"Eye opening: {coverage.count_blinks(self.face.eye_open)} blinks")

    def _figures(self, section: Section) -> None:
        speech = self.stages["speech"]
        section.values({**{key: value for key, value in self.result.items() if key not in ("verdicts", "report")},
                        "background seen": self.stages["background"]["seen"],
                        "share of speech": speech.get("spoken"), "share of voiced sound": speech.get("voiced"),
                        "pitch agreement": speech.get("pitch_agreement")},
                       {"reprojection_px": "median distance of the 68 fitted from the detected landmarks",
                        "jitter_deg": "trembling of the fitted head rotation",
                        "audio_offset_frames": "sound later than picture; none where lips and sound do not tell",
                        "frames_per_s": "all stages together",
                        "background seen": "share of the plate that was seen at some time",
                        "pitch agreement": "share of voiced sound in which two methods hear the same pitch"})
        section.table(["stage", "seconds", "frames per second"],
                      [(name, record["seconds"], self.count / max(record["seconds"], 1e-9))
                       for name, record in self.manifest["stages"].items()])

    def _origin(self, section: Section) -> None:
        manifest = self.manifest
        clips = manifest.get("clips") or [{"source": manifest["source"], "crop": manifest["crop"]}]
        for clip in clips:
            crop = ", ".join(f"{key} {value}" for key, value in clip["crop"].items() if key != "path")
            section.values({**clip["source"], "crop": crop})
        section.values({"consent": manifest["consent"]["text"] or "none recorded",
                        "recorded on": manifest["consent"]["date"] or "–"})

    # What to show ---------------------------------------------------------------------------------------

    def _overlays(self, indices, height: int) -> Iterator[np.ndarray]:
        """[height,w,3] of each frame, two at a time."""
        def draw(index: int) -> np.ndarray:
            return overlay(read_picture(self.frames.path(index)), read_picture(self.masks.path(index)),
                           self.face.landmarks[index], self.fitted[index], height)

        return ordered_map(draw, indices)

    def _moment(self, index: int) -> str:
        return f"frame {index}, {index / self.fps:.1f} s"

    def _spread(self, count: int) -> list[int]:
        return sorted({int(i) for i in np.linspace(0, self.count - 1, min(count, self.count))})

    def _liveliest(self) -> int:
        """First frame of the stretch in which the mouth moves most."""
        length = min(round(_SPOKEN_SECONDS * self.fps), self.count)
        moved = np.concatenate([[0], np.cumsum(np.abs(np.diff(self.opening, prepend=self.opening[:1])))])
        sums = moved[length:] - moved[:-length]
        # A jump within it would show as one great movement.
        for jump in self.manifest.get("jumps", []):
            sums[max(0, jump - length + 1):jump] = -1
        return int(np.argmax(sums))

    def _hidden(self) -> dict[int, float]:
        """Frame -> share of the picture that something hides, of frames spread over the recording."""
        spread = self._spread(24)
        shares = ordered_map(lambda mask: float(occluded(mask[::2, ::2]).mean()), self.masks.read(spread))
        return dict(zip(spread, shares))

    def worst(self) -> list[tuple[int, str]]:
        """Frames to look at first, in order, each with the reason."""
        face, scale = self.face, 512 / self.result["size"]
        missed = np.median(np.linalg.norm(self.fitted - face.landmarks[:, MEDIAPIPE_TO_68], axis=-1), axis=1) * scale
        usual = float(np.median(missed[face.valid])) if face.valid.any() else 0.0
        turned = self.angles - np.median(self.angles, axis=0)

        def reason(index: int) -> str:
            if not face.valid[index]:
                return "no face found; taken from the frames around it"
            words = f"fitted head {missed[index]:.1f} px beside the landmarks (usually {usual:.1f})"
            if np.abs(turned[index, :2]).max() > 12:
                words += ", head turned"
            if face.eye_open[index].mean() < 0.3:
                words += ", eyes shut"
            if self.opening[index] > np.percentile(self.opening, 98):
                words += ", mouth wide open"
            return words

        return [(index, reason(index)) for index in worst_frames(np.where(face.valid, missed, np.inf), _WORST, _APART)]


def worst_frames(badness: np.ndarray, count: int, apart: int) -> list[int]:
    """Up to `count` frames of the greatest badness [T], at least `apart` from each other, in order."""
    chosen: list[int] = []
    for index in map(int, np.argsort(-badness, kind="stable")):
        if len(chosen) == count:
            break
        if all(abs(index - other) >= apart for other in chosen):
            chosen.append(index)
    return sorted(chosen)


def _read_rgba(path: Path) -> np.ndarray:
    """[H,W,4] uint8."""
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGBA"))


def loudness(audio: np.ndarray, rate: int, fps: float, frames: int) -> np.ndarray:
    """[T] RMS level of each frame's time [dB full scale], not below -60."""
    edges = np.round(np.arange(frames + 1) / fps * rate).astype(int).clip(0, len(audio))
    total = np.concatenate([[0], np.cumsum(np.square(audio, dtype=np.float64))])
    power = (total[edges[1:]] - total[edges[:-1]]) / np.maximum(edges[1:] - edges[:-1], 1)
    return 10 * np.log10(power + 1e-6)


def write_report(out: Path, manifest: dict[str, Any], verdicts: list[Verdict], stages: dict[str, dict[str, Any]],
                 camera: CameraTrack, face: FaceTrack, audio: np.ndarray) -> Path:
    """Write report.html and report.json into the person's folder; arguments as those of `Summary`."""
    return Summary(out, manifest, verdicts, stages, camera, face, audio).write()
