"""What preparation found, for people: overlays, worst frames, plots."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from geneface.face.landmarks import FACE_OVAL, LIPS, relative_mouth_opening
from geneface.report import Report, Section, Verdict
from geneface.types import CameraTrack, FaceTrack

from .streams import Sequence, read_picture

_STRIP = 6  # frames in a strip
_PICTURE = 256  # height of their pictures [px]


def loudness(audio: np.ndarray, rate: int, fps: float, frames: int) -> np.ndarray:
    """[T] RMS level of each frame's time [dB full scale], not below -60."""
    edges = np.round(np.arange(frames + 1) / fps * rate).astype(int).clip(0, len(audio))
    total = np.concatenate([[0], np.cumsum(np.square(audio, dtype=np.float64))])
    power = (total[edges[1:]] - total[edges[:-1]]) / np.maximum(edges[1:] - edges[:-1], 1)
    return 10 * np.log10(power + 1e-6)


def overlay(frame: np.ndarray, mask: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """[H,W,3] uint8: the frame with landmarks and the outlines of head (green) and torso (violet)."""
    picture = frame.copy()
    dot = max(1, round(len(frame) / 256))
    for channel, colour in ((0, (40, 220, 90)), (1, (190, 90, 240))):
        outline, _ = cv2.findContours((mask[..., channel] > 127).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outline, -1, colour, dot, cv2.LINE_AA)
    lips = set(LIPS.tolist())
    oval = set(FACE_OVAL.tolist())
    for index, (x, y) in enumerate(landmarks):
        colour = (255, 80, 60) if index in lips else (60, 170, 255) if index in oval else (255, 230, 120)
        centre = (round(float(x - 0.5) * 16), round(float(y - 0.5) * 16))
        cv2.circle(picture, centre, 8 * dot, colour, -1, cv2.LINE_AA, 4)
    return picture


def cut_out(frame: np.ndarray, mask: np.ndarray, channel: int, colour: tuple[int, int, int]) -> np.ndarray:
    """[H,W,3] uint8: one part of the frame on a plain colour."""
    alpha = mask[..., channel:channel + 1].astype(np.float32) / 255
    return np.rint(frame * alpha + np.array(colour) * (1 - alpha)).astype(np.uint8)


def euler_degrees(camera: CameraTrack) -> np.ndarray:
    """[T,3] yaw, pitch, roll of the head [degrees]."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(camera.head_to_camera[:, :3, :3]).as_euler("YXZ", degrees=True)


def write_report(out: Path, manifest: dict[str, Any], verdicts: list[Verdict], stages: dict[str, dict[str, Any]],
                 camera: CameraTrack, face: FaceTrack, audio: np.ndarray) -> Path:
    """Write report.html and report.json into the person's folder.

    Args:
        manifest: with its `result`.
        stages: what each stage returned.
        audio: [N] float32 at the configured rate.
    """
    result, source = manifest["result"], manifest["source"]
    report = Report(f"Prepared: {source['name']}",
                    f"{result['frames']} frames of {result['size']} px at {result['fps']:g} fps, "
                    f"{result['seconds']:.1f} s; frames 0 to {manifest['train_frames'] - 1} train, the rest measures")
    report.section("Checks").verdicts(verdicts)
    frames, masks = Sequence(out / "frames", ".jpg"), Sequence(out / "masks", ".png")
    count = result["frames"]

    seen = report.section("Landmarks and masks")
    even = sorted({int(i) for i in np.linspace(0, count - 1, min(_STRIP, count))})
    _overlays(seen, even, frames, masks, face, "Evenly spread frames: head outlined in green, torso in violet")
    worst = stages["track"]["worst_frames"]
    _overlays(seen, worst, frames, masks, face,
              f"Frames to look at first ({', '.join(map(str, worst))}): face missing, or fitted worst")
    middle = even[len(even) // 2]
    frame, mask = read_picture(frames.path(middle)), read_picture(masks.path(middle))
    seen.strip([frame, cut_out(frame, mask, 0, (0, 200, 0)), cut_out(frame, mask, 1, (200, 0, 200)),
                read_picture(out / "background.png")],
               f"Frame {middle}: whole, head, neck and torso, clean background", _PICTURE)

    time = np.arange(count) / result["fps"]
    plots = report.section("Over time")
    angles = euler_degrees(camera)

    def pose(axes) -> None:
        for column, name in enumerate(("yaw", "pitch", "roll")):
            axes.plot(time, angles[:, column], label=name, linewidth=0.9)
        axes.set(xlabel="s", ylabel="degrees")

    opening = relative_mouth_opening(face.landmarks)
    level = loudness(audio, manifest["options"]["sample_rate"], result["fps"], count)

    def mouth(axes) -> None:
        axes.plot(time, opening, label="mouth opening / face height", linewidth=0.9)
        scaled = (level + 60) / 60 * max(float(opening.max()), 1e-6)
        axes.plot(time, scaled, label="loudness (scaled)", linewidth=0.6, alpha=0.7)
        axes.set(xlabel="s")

    def eyes(axes) -> None:
        for column, name in enumerate(("left in the picture", "right in the picture")):
            axes.plot(time, face.eye_open[:, column], label=name, linewidth=0.9)
        axes.set(xlabel="s", ylabel="1 = open")

    plots.plot(pose, "Head pose")
    plots.plot(mouth, "Mouth and sound: they should rise together")
    plots.plot(eyes, "Eye opening: dips are blinks")
    plots.plot(lambda axes: (axes.scatter(angles[:, 0], angles[:, 1], s=3, alpha=0.4),
                             axes.set(xlabel="yaw [degrees]", ylabel="pitch [degrees]")),
               "Head directions that the recording covers; the avatar is unsure beyond them", (4, 3))

    figures = report.section("Figures")
    figures.values({**{k: v for k, v in result.items() if k not in ("verdicts", "report")},
                    "background seen": stages["background"]["seen"],
                    "share of voiced sound": stages["speech"]["voiced"]},
                   {"reprojection_px": "median distance of the 68 fitted from the detected landmarks",
                    "jitter_deg": "trembling of the fitted head rotation",
                    "audio_offset_frames": "sound later than picture; none where mouth and sound do not correlate",
                    "frames_per_s": "all stages together",
                    "background seen": "share of the plate that was seen at some time; the rest is filled in smoothly"})
    figures.table(["stage", "seconds", "frames per second"],
                  [(name, record["seconds"], count / max(record["seconds"], 1e-9))
                   for name, record in manifest["stages"].items()])
    origin = report.section("Origin")
    origin.values({**source, "crop": ", ".join(f"{k} {v}" for k, v in manifest["crop"].items() if k != "path"),
                   "consent": manifest["consent"]["text"] or "none recorded",
                   "recorded on": manifest["consent"]["date"] or "–"})
    data = {**result, "checks": verdicts, **{key: manifest[key] for key in ("stages", "source", "crop", "consent")}}
    return report.save(out / "report.html", data)


def _overlays(section: Section, indices: list[int], frames: Sequence, masks: Sequence, face: FaceTrack,
              caption: str) -> None:
    pictures = [overlay(read_picture(frames.path(i)), read_picture(masks.path(i)), face.landmarks[i]) for i in indices]
    if pictures:
        section.strip(pictures, caption, _PICTURE)
