"""The whole chain on a person who does not exist: draw, prepare, fit, speak, render, evaluate, report."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .config import FitConfig, PrepareConfig, RenderConfig, override, resolve
from .errors import UserError
from .progress import say
from .report import Report
from .types import write_atomically

SECONDS, SIZE = 40.0, 256
CONSENT = "Drawn by the program; nobody was filmed."
PRESET = "demo"
# What the demo promises (the report says whether it kept it): figure -> (bound, True where it is a lower one).
PROMISES = {
    "psnr_head": (28.0, True),
    "landmark_px": (1.5, False),
    "rotation_deg": (2.0, False),
    "jaw_open_correlation": (0.9, True),
}


class _Stages:
    """Which stages are done, with what inputs; a stage whose inputs are unchanged is not repeated.

    `stages.json` in the demo's folder keeps, for each stage, a digest of its options and of the stages
    before it, and its figures.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "stages.json"
        try:
            self._done = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError):
            self._done = {}
        self._so_far = ""
        self.seconds: dict[str, float] = {}

    def run(self, name: str, options: dict[str, Any], outputs: list[Path], work: Callable[[], dict]) -> dict:
        """Figures of stage `name`: kept ones where nothing changed and the outputs are there, else those of `work`."""
        text = json.dumps([self._so_far, name, options], sort_keys=True, default=str)
        self._so_far = hashlib.sha256(text.encode()).hexdigest()
        kept = self._done.get(name)
        if kept and kept["digest"] == self._so_far and all(path.exists() for path in outputs):
            say(f"{name}: done before")
            self.seconds[name] = kept["seconds"]
            return kept["figures"]
        say(f"\n{name}")
        began = time.monotonic()
        figures = work()
        self.seconds[name] = round(time.monotonic() - began, 1)
        self._done[name] = {"digest": self._so_far, "seconds": self.seconds[name], "figures": figures}
        content = json.dumps(self._done, indent=1)
        write_atomically(self._file, lambda path: path.write_text(content, "utf-8"))
        return figures


def demo(out: Path, minutes: float | None = None) -> dict[str, Any]:
    """Run the chain in the folder `out`; what an earlier run finished is kept.

    Args:
        minutes: time for the fit; by default the preset's.

    Returns:
        `output` (the video), `report`, `avatar`; `held_out` as of evaluate's `tracked`; `tracking`: errors against the
        truth (metrics.truth); `promises` {figure: kept}; `seconds` {stage: s}; `minutes` of this run.

    Raises:
        UserError: `out` is a file, or cannot be written.
    """
    from data_prep.synthetic import SyntheticTruth, demo_audio, make_synthetic

    from . import pipeline
    from .metrics.truth import tracking_error

    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; give a folder")
    if minutes is not None and minutes <= 0:
        raise UserError(f"--minutes {minutes:g}: must be more than 0")
    began = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    stages = _Stages(out)
    clip_folder, folder, avatar_file = out / "synthetic", out / "person", out / "person.avatar"
    video, motion_file, evaluation = out / "talking.mp4", out / "motion.npz", out / "evaluation"
    speech = demo_audio("driving")
    prepare_config = override(PrepareConfig(), {"size": SIZE}, "demo")
    fit_config = resolve(FitConfig(), "fit", PRESET, options={"minutes": minutes})

    def draw() -> dict:
        make_synthetic(clip_folder, SECONDS, SIZE)
        return {}

    stages.run("synthetic person", {"seconds": SECONDS, "size": SIZE}, [clip_folder / "truth.npz"], draw)
    source = clip_folder / "synthetic.mp4"

    def prepare() -> dict:
        person = pipeline.prepare(source, folder, prepare_config, CONSENT)
        return {
            "prepared": person.manifest["result"],
            "tracking": tracking_error(person, SyntheticTruth.load(clip_folder / "truth.npz")),
        }

    prepared = stages.run("prepare", asdict(prepare_config), [folder / "manifest.json"], prepare)

    def fit() -> dict:
        # A checkpoint of an interrupted run is taken up again.
        return pipeline.fit(folder, avatar_file, fit_config, resume=True).info

    info = stages.run("fit", asdict(fit_config), [avatar_file], fit)

    def speak() -> dict:
        motion = pipeline.speak(avatar_file, speech, motion_file)
        return {"frames": len(motion), "fps": motion.fps}

    stages.run("speak", {"speech": speech.name}, [motion_file], speak)

    def render() -> dict:
        return asdict(pipeline.render(avatar_file, motion_file, video, RenderConfig(), speech))

    rendered = stages.run("render", asdict(RenderConfig()), [video], render)
    judged = stages.run("evaluate", {}, [evaluation], lambda: pipeline.evaluate(avatar_file, folder, evaluation))
    result = {
        "output": str(video),
        "report": str(out / "report.html"),
        "avatar": str(avatar_file),
        "held_out": judged["tracked"],
        "predicted": judged["predicted"],
        "tracking": prepared["tracking"],
        "fit": {key: info[key] for key in ("steps", "minutes")},
        "render": {key: rendered[key] for key in ("frames", "fps_delivered", "frame_ms_p95")},
        "promises": _promises(judged["tracked"], prepared["tracking"]),
        "seconds": stages.seconds,
        "minutes": round((time.monotonic() - began) / 60, 2),
    }
    _write_report(out, result, evaluation)
    return result


def _promises(held_out: dict, tracking: dict) -> dict[str, bool]:
    """Whether each promised figure is as good as promised."""
    figures = held_out | tracking
    kept = {}
    for name, (bound, lower) in PROMISES.items():
        value = figures.get(name)
        kept[name] = value is not None and (value >= bound if lower else value <= bound)
    return kept


def _write_report(out: Path, result: dict[str, Any], evaluation: Path) -> None:
    """The demo's page: pictures of the video, figures against the promises, where everything lies."""
    report = Report("Demo: a synthetic person", "drawn, prepared, fitted, made to say held-out words, and measured")
    page = report.section("The video")
    page.text(
        f"{Path(result['output']).name} beside this page: a sentence that the avatar was not fitted on, in a voice it "
        "never met. The face is synthetic, and its metadata says so."
    )
    page.strip(_frames(Path(result["output"])), "five moments of it", height=256)
    figures = report.section("What was promised")
    values = result["held_out"] | result["tracking"]
    rows = []
    for name, (bound, lower) in PROMISES.items():
        verdict = "kept" if result["promises"][name] else "not kept"
        rows.append((name, values.get(name), f"{'at least' if lower else 'at most'} {bound:g}", verdict))
    figures.table(["", "measured", "promised", ""], rows)
    figures.text(
        "psnr_head is measured on the last eleventh of the video, which the fit never saw. The others compare "
        "tracking with what the person was drawn from."
    )
    report.section("Tracking against the truth").values(result["tracking"])
    report.section("Held-out frames, tracked motion").values(result["held_out"])
    if result["predicted"]:
        report.section("Held-out frames, motion predicted from the sound").values(result["predicted"])
    report.section("Time").values({f"{name} [s]": seconds for name, seconds in result["seconds"].items()})
    more = report.section("More")
    more.text(
        f"{evaluation.name}/ has the whole evaluation, person/report.html the preparation. "
        "tensorboard --logdir person.fit shows the course of the fit."
    )
    report.save(out / "report.html", result)


def _frames(video: Path, count: int = 5) -> list:
    """`count` frames of the video, evenly spread."""
    from .media import probe, read_frames

    frames = max(1, round(probe(video).duration * 25))
    wanted = {round((i + 0.5) * frames / count) for i in range(count)}
    return [frame for index, frame in enumerate(read_frames(video, 25.0)) if index in wanted]
