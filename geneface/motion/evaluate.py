"""Generated against tracked mouth motion (`geneface evaluate-motion`)."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..config import MotionConfig
from ..corpus import MotionCorpus, read_split
from ..errors import UserError
from ..face.landmarks import JAW_68, LIPS_68, mouth_opening, mouth_width
from ..types import EXPRESSIONS, Avatar, PreparedPerson, check_array
from .generate import generate_weights
from .vae import MotionGenerator

_CLOSED_SHARE = 0.1  # of the tracked opening's range: below it the mouth counts as closed
_STILL = 1e-7  # standard deviation [m] below which a correlation means nothing


@dataclass(frozen=True)
class MouthMeasures:
    """The face basis as the motion stage needs it: canonical landmarks, linear in the weights.

    Attributes:
        neutral: [68, 3] canonical landmarks of the neutral face [m].
        offsets: [52, 68, 3] their movement per unit of each ARKit weight [m].
    """

    neutral: np.ndarray
    offsets: np.ndarray

    def __post_init__(self) -> None:
        check_array("neutral", self.neutral, (68, 3))
        check_array("offsets", self.offsets, (EXPRESSIONS, 68, 3))

    @classmethod
    def of_basis(cls) -> "MouthMeasures":
        """Of the package's own face basis, on its mean identity."""
        from ..face.basis import load_basis

        basis = load_basis()
        neutral = np.asarray(basis.landmarks68(np.zeros((1, EXPRESSIONS), np.float32)), np.float32)[0]
        unit = np.asarray(basis.landmarks68(np.eye(EXPRESSIONS, dtype=np.float32)), np.float32)
        return cls(neutral, unit - neutral)

    def landmarks(self, weights: np.ndarray) -> np.ndarray:
        """[T, 52] weights -> [T, 68, 3] canonical landmarks [m]."""
        return self.neutral + np.einsum("tk,kpc->tpc", weights, self.offsets)

    @property
    def features(self) -> torch.Tensor:
        """[52, Q] what a training loss compares: lips, jaw line (weight 1/4), inner lip distances (2), mouth width."""
        lips = self.offsets[:, LIPS_68].reshape(EXPRESSIONS, -1)
        jaw = self.offsets[:, JAW_68].reshape(EXPRESSIONS, -1) / 4
        # Upper inner lip 61, 62, 63 against lower 67, 66, 65: whether the mouth is shut is decided here.
        opening = 2 * (self.offsets[:, [67, 66, 65]] - self.offsets[:, [61, 62, 63]]).reshape(EXPRESSIONS, -1)
        width = self.offsets[:, 54] - self.offsets[:, 48]
        return torch.from_numpy(np.concatenate([lips, jaw, opening, width], axis=1).astype(np.float32))


def predict_weights(model: MotionGenerator, corpus: MotionCorpus, index: int, temperature: float = 0.0,
                    seed: int = 0) -> np.ndarray:
    """[T, 52] generated for clip `index` as recorded."""
    clip = corpus.clip(index)
    return generate_weights(model, clip.content.numpy(), clip.melody.numpy(), temperature, seed)


def _correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Pearson's r, or None where either does not move."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if len(a) < 3 or a.std() < _STILL or b.std() < _STILL:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def _mean(values: list) -> float | None:
    kept = [value for value in values if value is not None]
    return float(np.mean(kept)) if kept else None


def mouth_metrics(pairs: list[tuple[np.ndarray, np.ndarray]]) -> dict:
    """Figures over clips.

    Args:
        pairs: generated and tracked canonical landmarks [T, 68, 3] [m] of each clip.

    Returns:
        clips: how many; mouth_open_correlation, mouth_width_correlation: mean over clips of Pearson's r;
        mouth_open_variance: generated over tracked variance of the opening, all clips together;
        lip_velocity_error: mean distance between generated and tracked lip movement [mm per frame];
        still_lip_velocity_error: the same for a mouth that never moves;
        closure_error: where the tracked mouth is closed, the generated opening beyond the tracked one, mean, as a
        share of the tracked opening's 5-95 % range;
        jitter, tracked_jitter: mean lip acceleration [mm per frame^2].
    """
    opening, width, velocity, still, jitter, tracked_jitter = [], [], [], [], [], []
    openings = [(mouth_opening(a), mouth_opening(b)) for a, b in pairs]
    for (generated, tracked), (open_a, open_b) in zip(pairs, openings):
        opening.append(_correlation(open_a, open_b))
        width.append(_correlation(mouth_width(generated), mouth_width(tracked)))
        move_a, move_b = (1000 * np.diff(x[:, LIPS_68], axis=0) for x in (generated, tracked))
        velocity.append(np.linalg.norm(move_a - move_b, axis=-1).mean() if len(move_a) else None)
        still.append(np.linalg.norm(move_b, axis=-1).mean() if len(move_b) else None)
        jitter.append(np.linalg.norm(np.diff(move_a, axis=0), axis=-1).mean() if len(move_a) > 1 else None)
        tracked_jitter.append(np.linalg.norm(np.diff(move_b, axis=0), axis=-1).mean() if len(move_b) > 1 else None)
    closure = variance = None
    if openings:
        all_a, all_b = (np.concatenate(x) for x in zip(*openings))
        low, high = np.percentile(all_b, [5, 95])
        closed = all_b <= low + _CLOSED_SHARE * (high - low)
        if high - low > _STILL and closed.any():
            closure = float(np.maximum(0, all_a - all_b)[closed].mean() / (high - low))
            variance = float(all_a.var() / all_b.var())
    return {
        "clips": len(pairs), "mouth_open_correlation": _mean(opening), "mouth_width_correlation": _mean(width),
        "mouth_open_variance": variance, "lip_velocity_error": _mean(velocity),
        "still_lip_velocity_error": _mean(still),
        "closure_error": closure, "jitter": _mean(jitter), "tracked_jitter": _mean(tracked_jitter),
    }


def corpus_metrics(model: MotionGenerator, corpus: MotionCorpus, measures: MouthMeasures, limit: int | None = None,
                   temperature: float = 0.0, seed: int = 0) -> dict:
    """`mouth_metrics` on the corpus' held-out clips (on at most `limit` of them)."""
    chosen = corpus.test if limit is None else corpus.test[:: max(1, len(corpus.test) // limit)]
    return mouth_metrics([
        (measures.landmarks(predict_weights(model, corpus, int(i), temperature, seed)),
         measures.landmarks(corpus.clip(int(i)).expression.numpy())) for i in chosen])


def person_pairs(person: PreparedPerson, avatar: Avatar | None, config: MotionConfig,
                 measures: MouthMeasures) -> list[tuple[np.ndarray, np.ndarray]]:
    """Generated and tracked landmarks of a prepared person: of the held-out frames with their avatar, which knows the
    others' motion, else of the whole recording."""
    from .predict import predict

    frames = person.held_out_frames if avatar is not None and len(person.held_out_frames) else range(len(person))
    motion = predict(person.speech, avatar, config, measures=measures)
    frames = range(frames.start, min(frames.stop, len(motion), len(person.face)))
    tracked = measures.landmarks(person.face.expression[frames.start:frames.stop])
    return [(motion.landmarks[frames.start:frames.stop], tracked.astype(np.float32))]


def evaluate_motion(corpus: str | Path | None = None, person: PreparedPerson | str | Path | None = None,
                    avatar: Avatar | str | Path | None = None, out: str | Path | None = None,
                    config: MotionConfig = MotionConfig(), split: str | Path | None = None,
                    measures: MouthMeasures | None = None) -> dict:
    """Generated against tracked motion, on the held-out clips of a corpus or on a prepared person.

    Args:
        corpus: a prepared corpus (file or folder); or
        person: a prepared person (folder).
        avatar: of that person; the motion is then fitted to them and only held-out frames count.
        out: HTML report to write; None for none.
        split: text file that names the corpus' clips to evaluate on; by default those held out when it was prepared.

    Returns:
        the keys of `mouth_metrics`, and sync_within_1, wer_real, wer_generated and baseline_lip_velocity_error, which
        need judges that this version does not have (None), and report.

    Raises:
        UserError: neither or both of corpus and person, or nothing held out.
    """
    from .predict import load_generator

    if (corpus is None) == (person is None):
        raise UserError("evaluate-motion: give either --corpus DIR or --person PERSON_DIR")
    measures = measures or MouthMeasures.of_basis()
    if corpus is not None:
        data = MotionCorpus(corpus)
        chosen = data.test if split is None else np.flatnonzero(read_split(Path(split), data.names))
        if not len(chosen):
            raise UserError(f"{corpus}: no clip is held out; prepare the corpus with a larger share held out")
        generator = load_generator(config.model)
        pairs = [(measures.landmarks(predict_weights(generator, data, int(i), config.temperature, config.seed)),
                  measures.landmarks(data.clip(int(i)).expression.numpy())) for i in chosen]
        names = [data.names[i] for i in chosen]
    else:
        person = person if isinstance(person, PreparedPerson) else PreparedPerson.open(person)
        loaded = Avatar.load(avatar) if isinstance(avatar, (str, Path)) else avatar
        pairs = person_pairs(person, loaded, config, measures)
        names = [person.source]
    unmeasured = ("baseline_lip_velocity_error", "sync_within_1", "wer_real", "wer_generated", "report")
    result = mouth_metrics(pairs) | dict.fromkeys(unmeasured)
    if out is not None:
        _write_report(Path(out), names, pairs, result)
        result["report"] = str(out)
    return result


def _write_report(out: Path, names: list[str], pairs: list[tuple[np.ndarray, np.ndarray]], figures: dict) -> None:
    """Figures, and mouth opening generated and tracked of up to eight clips from the best to the worst."""
    from ..report import Report

    report = Report("Generated against tracked motion", f"{figures['clips']} clips, none of them trained on")
    report.section("Figures").values({key: value for key, value in figures.items() if key != "report"})
    curves = report.section("Mouth opening")
    scores = [_correlation(mouth_opening(a), mouth_opening(b)) for a, b in pairs]
    order = sorted(range(len(pairs)), key=lambda i: -(scores[i] if scores[i] is not None else -2))
    for i in [order[k] for k in sorted({round(x) for x in np.linspace(0, len(order) - 1, min(8, len(order)))})]:
        generated, tracked = pairs[i]
        seconds = np.arange(len(generated)) / 25

        def draw(axes, generated=generated, tracked=tracked, seconds=seconds) -> None:
            axes.plot(seconds, 1000 * mouth_opening(tracked), color="0.5", label="tracked")
            axes.plot(seconds, 1000 * mouth_opening(generated), color="tab:blue", label="generated")
            axes.set_xlabel("s")
            axes.set_ylabel("mm")
            axes.legend()

        score = "–" if scores[i] is None else f"{scores[i]:.3f}"
        curves.plot(draw, f"{names[i]}: correlation {score}")
    report.save(out, figures)
