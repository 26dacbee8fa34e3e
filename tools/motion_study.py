"""How good a motion model is: everything that is asked of it, measured, in one table.

    python tools/motion_study.py --corpus CORPUS --split configs/splits/grid_s1.txt --clips GRID/s1 \\
        --people PERSON_DIR ... --talkers PERSON_DIR ... --adapt PERSON_DIR ... --driving FOLDER -o FOLDER

Each part needs what it is named after and is left out without it; --only names the parts to run. What was measured
before stays in FOLDER/study.json until it is measured again; study.md is the table. Speech features of recordings are
kept in FOLDER/features.

    corpus      held-out sentences of a prepared corpus of one talker (--corpus, --split)
    people      not adapted to: natural speech (--people), other talkers of the corpus' kind (--talkers)
    adapted     people adapted to by their first frames, measured on their held-out ones (--adapt)
    languages   recordings called LANGUAGE_*.* (--driving)
    robustness  held-out sentences (--corpus, --split) shifted in pitch, noisy, by telephone; sound from --clips
    speed       times real time, without and with the speech encoder (--driving); streaming: latency; memory: of an hour
"""
from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import geneface  # noqa: F401  (before torch)
from data_prep.corpora import augment
from geneface import media
from geneface.config import MotionConfig
from geneface.corpus import MotionCorpus, read_split
from geneface.errors import UserError
from geneface.face.landmarks import mouth_opening
from geneface.motion import behaviour
from geneface.motion.comparison import compare_person
from geneface.motion.evaluate import evaluate_motion, load_baseline, metrics
from geneface.motion.measures import MouthMeasures
from geneface.motion.metrics import CLOSED_SHARE, closed_and_range, mean
from geneface.motion.predict import load_generator, predict
from geneface.progress import say
from geneface.types import Avatar, PreparedPerson, SpeechFeatures, write_atomically

RATE = 16000  # [Hz]
FPS = 25.0
LANGUAGES = ("english", "chinese", "french", "german", "italian", "japanese")
SENTENCES = 12  # held-out ones whose sound is altered
NOISE_DB = 10.0
SEMITONES = (-3.0, 3.0)
SPEED_SECONDS = 60


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        part, what: which measurement.
        asked: for people.
        measured: None where it could not be.
        met: None where nothing is asked or nothing was measured.
        note: what belongs to it.
    """

    part: str
    what: str
    asked: str
    measured: float | None
    met: bool | None
    note: str = ""


def row(part: str, what: str, measured: float | None, low: float | None = None, high: float | None = None,
        note: str = "") -> Row:
    """A row that is met from `low` to `high`; nothing is asked without either."""
    asked = " and ".join(([f"at least {low:.4g}"] if low is not None else []) +
                         ([f"at most {high:.4g}"] if high is not None else []))
    met = None
    if measured is not None and asked:
        met = bool((low is None or measured >= low) and (high is None or measured <= high))
    return Row(part, what, asked or "–", None if measured is None else float(measured), met, note)


@dataclass(frozen=True)
class Study:
    """What every part is given.

    Attributes:
        given: the command line.
        config: of the most likely motion (temperature 0).
        temperature: of sampled motion.
        measures: of the face basis.
    """

    given: argparse.Namespace
    config: MotionConfig
    temperature: float
    measures: MouthMeasures

    def features(self, audio: np.ndarray) -> SpeechFeatures:
        """Of `audio` [N] at 16 kHz, kept in the study's folder."""
        from geneface.speech.features import extract

        file = self.given.output / "features" / f"{hashlib.sha256(audio.tobytes()).hexdigest()[:24]}.npz"
        if not file.is_file():
            extract(audio).save(file)
        return SpeechFeatures.load(file)

    def opening(self, speech: SpeechFeatures) -> np.ndarray:
        """[T] mouth opening of the most likely motion [m]."""
        return mouth_opening(predict(speech, None, self.config, measures=self.measures).landmarks)


def corpus(study: Study) -> list[Row]:
    page = study.given.output / "corpus.html"
    found = evaluate_motion(corpus=study.given.corpus, split=study.given.split, out=page, config=study.config,
                            measures=study.measures)
    sampled = evaluate_motion(corpus=study.given.corpus, split=study.given.split, measures=study.measures,
                              config=replace(study.config, temperature=study.temperature))
    real, baseline = found["wer_real"], found["baseline_lip_velocity_error"]

    def line(what: str, key: str, low: float | None = None, high: float | None = None, note: str = "") -> Row:
        return row("corpus", what, found[key], low, high, note)

    return [
        line("mouth opening r", "mouth_open_correlation", 0.94, note=f"{found['clips']} sentences"),
        line("mouth width r", "mouth_width_correlation", 0.84),
        line("lip velocity error [mm/frame]", "lip_velocity_error", high=baseline,
             note=f"log-mel baseline {said(baseline)}, a still mouth {said(found['still_lip_velocity_error'])}"),
        line("sync within 1 frame", "sync_within_1", 0.95, note=f"tracked {said(found.get('tracked_sync_within_1'))}"),
        line("judge's WER, tracked", "wer_real", high=0.25),
        line("judge's WER, generated", "wer_generated", high=None if real is None else real + 0.1),
        line("bilabials within 10 % of closed", "bilabial_closure", 0.85,
             note=f"{found['bilabials']} p, b, m; tracked {said(found['tracked_bilabial_closure'])}"),
        line("bilabials within 10 % of the tracked closure", "bilabial_match"),
        line("bilabials: wider than tracked, share of the range", "bilabial_error"),
        row("corpus", "sampled opening variance over tracked", sampled["sampled_open_variance"], 0.8, 1.2,
            note=f"temperature {study.temperature:g}"),
        row("corpus", "two seeds differ [mm]", sampled["seed_distance_mm"], low=1e-3),
        row("corpus", "sampled mouth opening r", sampled["mouth_open_correlation"]),
        line("lip distance [mm]", "lip_distance_mm"), line("lip distance, centred [mm]", "lip_shape_mm"),
        line("closure error", "closure_error"),
        line("jitter [mm/frame²]", "jitter", note=f"tracked {said(found['tracked_jitter'])}"),
    ]


def people(study: Study) -> list[Row]:
    rows = []
    given = study.given
    for what, folders, floor in (("natural speech", given.people, 0.6), ("other talkers", given.talkers, 0.9)):
        if not folders:
            continue
        figures = [person_figures(study, folder) for folder in folders]
        ungated = [person_figures(study, folder, silence_gate=0.0) for folder in folders]
        baseline = mean(one["baseline_lip_velocity_error"] for one in figures)
        opening, width, velocity, still = (mean(one[key] for one in figures) for key in (
            "mouth_open_correlation", "mouth_width_correlation", "lip_velocity_error", "still_lip_velocity_error"))
        loose = {key: said(mean(one[key] for one in ungated))
                 for key in ("mouth_open_correlation", "lip_velocity_error")}
        each = ", ".join(f"{at.name} {said(one['mouth_open_correlation'])}" for at, one in zip(folders, figures))
        rows += [
            row("people", f"{what}: mouth opening r", opening, floor,
                note=f"{each}; without the silence gate {loose['mouth_open_correlation']}"),
            row("people", f"{what}: mouth width r", width),
            row("people", f"{what}: lip velocity error [mm/frame]", velocity,
                high=None if baseline is None else 0.85 * baseline,
                note=f"log-mel baseline {said(baseline)}, without the silence gate {loose['lip_velocity_error']}, "
                f"a still mouth {said(still)}"),
        ]
    return rows


def person_figures(study: Study, folder: Path, **options: float) -> dict:
    """`metrics` on all frames of a person, not adapted to, with other options of the motion."""
    person = PreparedPerson.open(folder)
    return metrics([compare_person(person, None, replace(study.config, **options), study.measures, range(len(person)),
                                   baseline=load_baseline(study.config.model))])


def adapted(study: Study) -> list[Row]:
    """What `fit` learns of how a person moves, without its field."""
    from geneface.fit.adaptation import adapt
    from geneface.fit.setup import training_frames

    generator = load_generator(study.config.model)
    each, notes = [], []
    for folder in study.given.adapt:
        person = PreparedPerson.open(folder)
        learned = adapt(person, generator, study.config, study.measures)
        weights = person.face.expression[training_frames(person)].astype(np.float32)
        avatar = Avatar({}, {}, person.face.identity, study.measures.landmarks(weights).astype(np.float32), weights,
                        person.camera, person.background, {}, {}, learned.tensors())
        before, after = (metrics([compare_person(person, who, study.config, study.measures)]) for who in (None, avatar))
        each.append(after)
        notes.append(f"{folder.name} {said(after['mouth_open_correlation'])}, {said(after['mouth_width_correlation'])} "
                     f"(generic {said(before['mouth_open_correlation'])}, {said(before['mouth_width_correlation'])}; "
                     f"post-net {'used' if learned.postnet else 'not used'})")
    return [
        row("adapted", "held-out frames: mouth opening r", mean(one["mouth_open_correlation"] for one in each), 0.85,
            note="; ".join(notes)),
        row("adapted", "held-out frames: mouth width r", mean(one["mouth_width_correlation"] for one in each), 0.8),
        row("adapted", "held-out frames: lip velocity error [mm/frame]",
            mean(one["lip_velocity_error"] for one in each),
            note=f"a still mouth {said(mean(one['still_lip_velocity_error'] for one in each))}"),
        row("adapted", "held-out frames: opening variance over tracked",
            mean(one["mouth_open_variance"] for one in each)),
    ]


def languages(study: Study) -> list[Row]:
    variances: dict[str, list[float]] = {}
    closed = []
    for file in sorted(study.given.driving.iterdir()):
        language = file.name.split("_")[0]
        if language not in LANGUAGES:
            continue
        speech = study.features(media.read_audio(file))
        opening = study.opening(speech)
        silent = behaviour.silence(speech, len(opening)) == 1
        variances.setdefault(language, []).append(float(opening[~silent].var()))
        if silent.sum() > FPS / 2 and (scale := closed_and_range(opening[~silent])) is not None:
            closed.append((opening[silent] <= scale[0] + CLOSED_SHARE * scale[1]).mean())
    english = mean(variances.get("english", []))
    return [row("languages", f"{language}: opening variance over English", float(np.mean(found)) / english, 0.5, 2,
                note=f"{len(found)} recordings")
            for language, found in variances.items() if language != "english" and english] + [
        row("languages", "silent frames with the mouth within 10 % of closed", mean(closed), 0.9,
            note=f"{len(closed)} recordings with half a second of silence or more")]


def robustness(study: Study) -> list[Row]:
    data = MotionCorpus(study.given.corpus)
    chosen = np.flatnonzero(read_split(study.given.split, data.names))
    random = np.random.default_rng(0)
    changed: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        **{f"pitch and formants {by:+g} semitones": lambda x, by=by: augment.shift_voice(x, by) for by in SEMITONES},
        **{f"pitch {by:+g} semitones": lambda x, by=by: augment.shift_pitch(x, by) for by in SEMITONES},
        f"noise at {NOISE_DB:g} dB": lambda x: with_noise(x, NOISE_DB, random),
        "8 kHz telephone": lambda x: augment.transmit(x, "telephone", 0),
    }
    errors: dict[str, list[float]] = {name: [] for name in changed}
    for index in chosen[:: max(1, len(chosen) // SENTENCES)][:SENTENCES]:
        file = next(study.given.clips.glob(f"{data.names[index]}.*"), None)
        if file is None:
            raise UserError(f"{study.given.clips}: holds no clip {data.names[index]}; give the folder of the corpus' clips")
        audio = media.read_audio(file)
        plain = study.opening(study.features(audio))
        for name, change in changed.items():
            other = study.opening(study.features(change(audio).astype(np.float32)))
            errors[name].append(float(np.abs(other - plain).sum() / plain.sum()))
    return [row("robustness", f"{name}: relative change of the opening", mean(found), high=0.15,
                note=f"{len(found)} sentences, largest {max(found):.3f}") for name, found in errors.items()]


def with_noise(audio: np.ndarray, snr_db: float, random: np.random.Generator) -> np.ndarray:
    """White noise, so much below the mean power of what is said."""
    power = np.convolve(audio ** 2, np.ones(400) / 400, "same")  # over 25 ms
    speech = power[power > 1e-3 * power.max()].mean()
    return audio + random.standard_normal(len(audio)) * np.sqrt(speech) * 10 ** (-snr_db / 20)


def speed(study: Study) -> list[Row]:
    from geneface.speech.features import extract

    audio = driving_speech(study.given.driving, SPEED_SECONDS)
    speech = extract(audio)
    rows = []
    for what, floor, work in (
        ("motion alone", 100, lambda: predict(speech, None, study.config, measures=study.measures)),
        ("with the speech encoder", 8, lambda: predict(extract(audio), None, study.config, measures=study.measures)),
    ):
        work()
        wall, spent = time.perf_counter(), time.process_time()
        work()
        wall, spent = time.perf_counter() - wall, time.process_time() - spent
        load = os.getloadavg()[0]
        rows.append(row("speed", f"{what} [times real time]", SPEED_SECONDS / wall, floor,
                        note=f"{SPEED_SECONDS / spent:.3g} a second of processor time; load {load:.1f}"))
    return rows


def streaming(study: Study) -> list[Row]:
    """The streaming model on sound that comes in by hops, generic motion."""
    from geneface.motion.stream import MotionStream
    from geneface.speech.stream import HOP_FRAMES, LATENCY

    hop = HOP_FRAMES * RATE // 50
    audio = driving_speech(study.given.driving, 20)
    stream, spent = MotionStream(), []
    for first in range(0, len(audio) - hop + 1, hop):
        wall = time.perf_counter()
        stream.push(audio[first:first + hop])
        spent.append(time.perf_counter() - wall)
    usual, slow = np.percentile(spent[len(spent) // 4:], [50, 95])  # the first find caches cold
    return [row("streaming", "latency [ms]", 1000 * (LATENCY + usual), high=400,
                note=f"waits {1000 * LATENCY:.0f} ms for sound; a hop of 160 ms takes {1000 * usual:.0f} ms, "
                f"5 % of them more than {1000 * slow:.0f} ms; load {os.getloadavg()[0]:.1f}")]


def memory(study: Study) -> list[Row]:
    """In a process of its own, whose largest resident memory tells."""
    command = [sys.executable, __file__, "--hour", "--driving", str(study.given.driving), "--model", study.config.model,
               "-o", str(study.given.output)]
    wall = time.perf_counter()
    peak = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    return [row("memory", "one hour of sound [GiB]", peak / 1024, high=2,
                note=f"{3600 / (time.perf_counter() - wall):.1f} times real time")]


def an_hour(study: Study) -> None:
    """An hour of speech to motion in this process; prints its largest resident memory [MiB]."""
    import resource

    from geneface.speech.features import extract

    motion = predict(extract(driving_speech(study.given.driving, 3600)), None, study.config, measures=study.measures)
    assert len(motion) == 3600 * FPS
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def driving_speech(folder: Path, seconds: int) -> np.ndarray:
    """[N] English speech, repeated as often as needed."""
    spoken = np.concatenate([media.read_audio(file) for file in sorted(folder.glob("english_*"))])
    return np.resize(spoken, seconds * RATE)


PARTS: dict[str, tuple[Callable[[Study], list[Row]], tuple[str, ...]]] = {
    "corpus": (corpus, ("corpus", "split")), "people": (people, ("people",)), "adapted": (adapted, ("adapt",)),
    "languages": (languages, ("driving",)), "robustness": (robustness, ("corpus", "split", "clips")),
    "speed": (speed, ("driving",)), "streaming": (streaming, ("driving",)), "memory": (memory, ("driving",)),
}


def said(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    verdict = {True: "met", False: "**not met**", None: "–"}
    lines = ["| part | what | asked | measured | | note |", "|---|---|---|---|---|---|"]
    lines += [f"| {one.part} | {one.what} | {one.asked} | {said(one.measured)} | {verdict[one.met]} | {one.note} |"
              for one in rows]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("corpus", "split", "clips", "driving"):
        parser.add_argument(f"--{name}", type=Path)
    for name in ("people", "talkers", "adapt"):
        parser.add_argument(f"--{name}", type=Path, nargs="+", default=[], metavar="PERSON_DIR")
    parser.add_argument("--model", default="", help="motion model; by default the one shipped with the package")
    parser.add_argument("--temperature", type=float, help="of sampled motion; by default the package's, or 1")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("-o", dest="output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--hour", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    default = MotionConfig()
    study = Study(given, replace(default, model=given.model, temperature=0.0),
                  given.temperature or default.temperature or 1.0, MouthMeasures.of_basis())
    if given.hour:
        return an_hour(study)
    given.output.mkdir(parents=True, exist_ok=True)
    kept = given.output / "study.json"
    rows = [Row(**one) for one in json.loads(kept.read_text("utf-8"))] if kept.is_file() else []
    for part, (measure, needed) in PARTS.items():
        if part not in given.only or not all(getattr(given, name) for name in needed):
            continue
        say(f"{part} ...")
        rows = [one for one in rows if one.part != part] + measure(study)
        rows.sort(key=lambda one: list(PARTS).index(one.part))
        for file, text in ((kept, json.dumps([asdict(one) for one in rows], indent=1)),
                           (given.output / "study.md", table(rows) + "\n")):
            write_atomically(file, lambda part, text=text: part.write_text(text, "utf-8"))
    print(table(rows))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
