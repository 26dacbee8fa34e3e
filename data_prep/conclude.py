"""The end of a preparation: verdicts on what the stages measured, manifest and report."""
from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from geneface import media
from geneface.assets import file_hash
from geneface.config import PrepareConfig
from geneface.report import Verdict
from geneface.types import CameraTrack, FaceTrack, PreparedPerson

from .footage import Footage, labelled
from .preflight.checks import judge
from .report.summary import write_report
from .stages import Data, Manifest

_FILES = ("background.png", "camera.npz", "face.npz", "speech.npz", "audio.wav")


def late_verdicts(stages: dict[str, Data], labels: Sequence[str], config: PrepareConfig) -> list[Verdict]:
    """Checks of what the stages measured.

    Args:
        stages: what each returned.
        labels: names of the clips.
    """
    error, sync, plate = stages["track"].get("reprojection_px"), stages["sync"], stages["background"]
    verdicts = [] if error is None else [judge("tracking", error * 512 / config.size)]
    verdicts.append(judge("every frame tracked", 100 * stages["landmarks"]["valid"]))
    verdicts.append(judge("still background", plate["unrest"]))
    verdicts.append(judge("speech", 100 * stages["speech"]["spoken"]))
    if len(labels) > 1:
        verdicts.append(judge("same background", plate["apart"]))
    in_time = []
    for offset, shift, drift in zip(sync["offsets"], sync["shifts"], sync["drifts"]):
        note = f"after moving it by {-shift:+.1f} frames" if shift else ""
        found = [] if offset is None else [judge("sound in time", offset - shift, note)]
        in_time.append(found if drift is None else [*found, judge("sound speed", drift)])
    return verdicts + labelled(labels, in_time)


def consent_record(content: Data, videos: Sequence[str], given: str | None) -> Data:
    """What the person agreed to. What an earlier run recorded holds for the videos it was recorded for, no others.

    Args:
        content: the manifest as the earlier run left it.
        videos: hashes of those used now.
        given: what is given now, None for nothing.
    """
    known, agreed = content.get("consent"), {clip["source"]["sha256"] for clip in content.get("clips", ())}
    if given is None and known is not None and agreed.issuperset(videos):
        return known
    return {"text": given or "", "date": date.today().isoformat() if given else "", "granted": bool(given)}


def conclude(manifest: Manifest, footage: Footage, stages: dict[str, Data], verdicts: list[Verdict],
             config: PrepareConfig, consent: str | None) -> PreparedPerson:
    """Complete the manifest, write the report, and open the person.

    Args:
        stages: what each returned.
        consent: as given now; None leaves what is recorded of these videos.
    """
    out, content, clips, count = manifest.folder, manifest.content, footage.clips, len(footage)
    origins = [clip.to_json() for clip in clips]
    cuts = [cut for clip in clips for cut in clip.seen.take.cuts]
    content.update(
        source=origins[0]["source"] if len(clips) == 1 else {"name": ", ".join(clip.label for clip in clips)},
        clips=origins, width=config.size, height=config.size, size=config.size, fps=config.fps, frames=count,
        train_frames=count * (config.held_out - 1) // config.held_out, crop=origins[0]["crop"], cuts=cuts,
        jumps=list(footage.jumps), consent=consent_record(content, [clip.sha256 for clip in clips], consent),
        options=vars(config),
        hashes={**{name: stages[name]["sha256"] for name in ("frames", "masks", "torso")},
                **{name: file_hash(out / name) for name in _FILES}},
    )
    sync = stages["sync"]
    content["result"] = {
        "frames": count, "fps": config.fps, "seconds": count / config.fps, "size": config.size,
        "frames_per_s": count / max(manifest.seconds, 1e-9),
        "reprojection_px": stages["track"].get("reprojection_px"), "jitter_deg": stages["track"].get("jitter_deg"),
        "audio_offset_frames": _largest(sync["offsets"]), "audio_moved_frames": _largest(sync["shifts"]),
        "cuts": cuts, "jumps": list(footage.jumps), "verdicts": {verdict.check: verdict.verdict for verdict in verdicts},
        "report": str(out / "report.html"),
    }
    write_report(out, content, verdicts, stages, CameraTrack.load(out / "camera.npz"), FaceTrack.load(out / "face.npz"),
                 media.read_audio(out / "audio.wav", config.sample_rate))
    content["finished"] = True
    manifest.save()
    return PreparedPerson.open(out)


def _largest(values: Sequence[float | None]) -> float | None:
    """The value farthest from zero, of those that are known."""
    return max((value for value in values if value is not None), key=abs, default=None)
