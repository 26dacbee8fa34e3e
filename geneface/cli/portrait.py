"""The verbs of the main chain: prepare, fit, speak, render, evaluate, demo."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Optional

import typer

from ..config import EvaluateConfig, FitConfig, MotionConfig, PrepareConfig, RenderConfig, presets, resolve
from ..errors import UserError
from ..progress import say
from .common import AsJson, ConfigFile, Device, Edits, Settings, show

PREPARE_KEYS = (
    "frames",
    "fps",
    "seconds",
    "size",
    "frames_per_s",
    "reprojection_px",
    "jitter_deg",
    "audio_offset_frames",
    "cuts",
    "verdicts",
    "report",
)
FIT_KEYS = ("minutes", "steps", "avatar", "size_mb", "peak_memory_mb", "held_out")
SPEAK_KEYS = ("frames", "fps", "seconds", "real_time_factor", "motion", "words")
RENDER_KEYS = ("frames", "seconds", "fps_delivered", "frame_ms_p95", "peak_memory_mb", "output")
EVALUATE_KEYS = ("tracked", "aligned", "predicted", "report")
COMPARE_KEYS = ("avatars", "report")

Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to write.")]
Audio = Annotated[Optional[Path], typer.Option("--audio", metavar="FILE", help="Speech: any sound or video file.")]
AvatarFile = Annotated[Path, typer.Argument(metavar="X.avatar", help="Fitted avatar.")]


def add_to(app: typer.Typer) -> None:
    """Offer the verbs of this file."""
    for verb in (demo, prepare, fit, speak, render, evaluate):
        app.command()(verb)


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for everything.")] = Path(
        "demo"
    ),
    minutes: Annotated[Optional[float], typer.Option(help="Time for the fit.")] = None,
    as_json: AsJson = False,
) -> None:
    """Everything once, on a synthetic person: prepare, fit, speak, render, report."""
    from .. import pipeline

    result = pipeline.demo(output, minutes)
    say(f"\nvideo   {result['output']}\nreport  {result['report']}")
    show(result, as_json)


def prepare(
    videos: Annotated[
        list[Path],
        typer.Argument(metavar="VIDEO...", help="Portrait video of one person, or several filmed in one place."),
    ],
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", metavar="PERSON_DIR", help="Folder to write.")
    ] = None,
    size: Annotated[
        Optional[int], typer.Option(help=f"Side of the square portrait crop, in px. Default: {PrepareConfig.size}.")
    ] = None,
    consent: Annotated[
        Optional[str], typer.Option(metavar="TEXT", help="Who agreed to what; recorded in the person and its avatars.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at a check's warning instead of noting it in the report.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Only say what is good and bad about the video.")] = False,
    config: ConfigFile = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """A portrait video to a prepared person. An interrupted run goes on when it is called again.

    Of each video the longest shot is used; those of several stand one after another.
    """
    from .. import pipeline

    given = {"size": size, "strict": strict or None}
    options = resolve(PrepareConfig(), "prepare", None, config, settings or (), given)
    if check:
        verdicts = pipeline.check(videos, options)
        for row in () if as_json else verdicts:
            print(f"{row.verdict:<5} {row.check:<20} {row.value}" + (f"; {row.advice}" if row.advice else ""))
        if as_json:
            show({"verdicts": {row.check: row.verdict for row in verdicts}, "checks": verdicts}, as_json)
        return
    if output is None:
        raise UserError("missing option '--output' / '-o': the folder to write; or --check to only look at the video")
    person = pipeline.prepare(videos, output, options, consent)
    if not person.manifest["consent"]["granted"]:
        say(
            "No consent is recorded: the person's folder and every avatar made of it will say so. If the person in the "
            'video agreed, run this again with --consent "who agreed to what": none of the long work is repeated.'
        )
    show(person.manifest["result"], as_json, PREPARE_KEYS)


def fit(
    person: Annotated[Path, typer.Argument(metavar="PERSON_DIR", help="Prepared person.")],
    output: Output,
    preset: Annotated[
        Optional[str], typer.Option(help=f"Trade of time against quality: {', '.join(presets('fit')) or 'none here'}.")
    ] = None,
    minutes: Annotated[Optional[float], typer.Option(help=f"Time limit. Default: {FitConfig.minutes:g}.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint of an interrupted fit.")] = False,
    device: Device = None,
    config: ConfigFile = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """A prepared person to an avatar."""
    from .. import pipeline

    if minutes is not None and minutes <= 0:
        raise UserError(f"--minutes {minutes:g}: must be more than 0")
    options = resolve(FitConfig(), "fit", preset, config, settings or (), {"minutes": minutes, "device": device})
    avatar = pipeline.fit(person, output, options, resume)

    from ..fit.monitor import peak_memory_mb

    result = {
        "minutes": avatar.info["minutes"],
        "steps": avatar.info["steps"],
        "avatar": output,
        "size_mb": output.stat().st_size / 1e6,
        "peak_memory_mb": peak_memory_mb(),
        "held_out": avatar.info.get("held_out"),
    }
    show(result, as_json, FIT_KEYS)


def speak(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="M.npz", help="Motion file to write.")],
    avatar: Annotated[
        Optional[Path], typer.Argument(metavar="[X.avatar]", help="Whose motion; without it, generic motion.")
    ] = None,
    audio: Audio = None,
    stream: Annotated[bool, typer.Option("--stream", help="As it would be live, 0.3 s behind the sound.")] = False,
    transcript: Annotated[
        Optional[str],
        typer.Option(metavar="TEXT|FILE", help="What is said, in English: the motion keeps when each word is."),
    ] = None,
    words: Annotated[
        Optional[Path], typer.Option(metavar="FILE", help='When words are said, as JSON: [[0.1, 0.4, "hello"], ...].')
    ] = None,
    edits: Edits = None,
    config: ConfigFile = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Speech to the motion of a face."""
    if audio is None:
        if avatar is not None and avatar.suffix.lower() != ".avatar":
            raise UserError(f"{avatar}: is no .avatar; what is to be said goes to --audio {avatar}")
        raise UserError("nothing to say; give --audio FILE")
    from .. import pipeline
    from ..motion.predict import predict  # noqa: F401  loaded here: the figure below is of speech, not of imports
    from ..speech.features import extract  # noqa: F401

    options = resolve(MotionConfig(), "motion", None, config, settings or ())
    began = time.perf_counter()
    motion = pipeline.speak(avatar, audio, output, options, stream, transcript, words, edits or ())
    spent = time.perf_counter() - began
    seconds = len(motion) / motion.fps
    result = {
        "frames": len(motion),
        "fps": motion.fps,
        "seconds": seconds,
        "real_time_factor": seconds / spent,
        "motion": output,
        "words": len(motion.words),
    }
    show(result, as_json, SPEAK_KEYS)


def render(
    avatar: AvatarFile,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT.mp4", help="Video to write; with --frame alpha .mov, or a folder."),
    ],
    audio: Audio = None,
    motion: Annotated[
        Optional[Path], typer.Option(metavar="M.npz", help="Motion to show; with --audio, that is its sound.")
    ] = None,
    video: Annotated[
        Optional[Path],
        typer.Option(metavar="V", help="Video of anybody, whose face and head move the avatar; its sound, or --audio."),
    ] = None,
    transfer: Annotated[
        Optional[str],
        typer.Option(
            metavar="both|expression|pose",
            help="What is taken from --video: all (default), the expression alone, or the head's pose alone, with the "
            "lips saying --audio. With --motion, the same of that, which is otherwise shown as it is.",
        ),
    ] = None,
    frame: Annotated[
        Optional[str],
        typer.Option(
            metavar="crop|full|alpha|depth|normals",
            help="The square portrait (default), the original video's frame with it in place, the person with alpha; "
            "or the head's depth or normals, as a folder of PNGs.",
        ),
    ] = None,
    background: Annotated[
        Optional[str], typer.Option(metavar="COLOUR|FILE", help="Behind the person: a colour, a picture or a video.")
    ] = None,
    original: Annotated[
        Optional[str],
        typer.Option(metavar="FILE", help="For --frame full: the video the avatar was made from, if it has moved."),
    ] = None,
    size: Annotated[
        Optional[int], typer.Option(help="Longer side of the portrait, in px. Default: the avatar's own.")
    ] = None,
    yaw: Annotated[
        Optional[float], typer.Option(help="Camera to the picture's right by so many degrees, at most 30.")
    ] = None,
    pitch: Annotated[Optional[float], typer.Option(help="Camera up by so many degrees, at most 20.")] = None,
    orbit: Annotated[
        Optional[float], typer.Option(help="Camera sways slowly by so many degrees to both sides.")
    ] = None,
    edits: Edits = None,
    device: Device = None,
    config: ConfigFile = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """An avatar and speech, motion, or a video of somebody else, to a video."""
    from dataclasses import asdict

    from .. import pipeline

    if audio is None and motion is None and video is None:
        raise UserError("nothing to say; give --audio FILE, --motion M.npz or --video FILE")
    if transfer is not None and video is None and motion is None:
        raise UserError(f"--transfer {transfer}: of whom? give --video FILE or --motion M.npz as well")
    given = {"transfer": transfer, "frame": frame, "background": background, "original": original, "size": size,
             "yaw": yaw, "pitch": pitch, "orbit": orbit, "device": device}
    options = resolve(RenderConfig(), "render", None, config, settings or (), given)
    result = pipeline.render(avatar, motion, output, options, audio, resolve(MotionConfig(), "motion"), video,
                             edits or ())
    say("The video is marked as synthetic in its metadata. Say so where you show it.")
    show(asdict(result), as_json, RENDER_KEYS)


def evaluate(
    avatars: Annotated[
        list[Path], typer.Argument(metavar="X.avatar...", help="Fitted avatar, or several of one person to compare.")
    ],
    person: Annotated[Path, typer.Option(metavar="PERSON_DIR", help="The prepared person it was fitted on.")],
    output: Annotated[
        Optional[Path],
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder for the report. Default: X.evaluation, or comparison."
        ),
    ] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """How near an avatar comes to frames that no training step saw; several avatars in one table."""
    from .. import pipeline

    options = resolve(EvaluateConfig(), "evaluate", None, config, settings or ())
    motion = resolve(MotionConfig(), "motion")
    if len(avatars) == 1:
        folder = output if output is not None else avatars[0].with_name(f"{avatars[0].stem}.evaluation")
        show(pipeline.evaluate(avatars[0], person, folder, options, motion), as_json, EVALUATE_KEYS)
    else:
        folder = output if output is not None else avatars[0].with_name("comparison")
        show(pipeline.compare(avatars, person, folder, options, motion), as_json, COMPARE_KEYS)
