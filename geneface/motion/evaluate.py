"""Generated against tracked mouth motion (`geneface evaluate-motion`)."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..config import MotionConfig
from ..corpus import MotionCorpus, read_split
from ..errors import UserError
from ..types import Avatar, PreparedPerson
from .baseline import MelRegression, baseline_path
from .bilabials import bilabial_metrics, closures
from .comparison import Comparison, compare_clips, compare_person
from .judges import reading_metrics, sync_metrics
from .lipreader import load_judge
from .measures import MouthMeasures
from .metrics import ClipFigures, mean, mouth_metrics, seed_metrics
from .predict import RELEASE, load_generator
from .sync import SyncExpert


def metrics(comparisons: Sequence[Comparison]) -> dict:
    """Every figure of `mouth_metrics`, `bilabial_metrics`, `seed_metrics`, `sync_metrics` and `reading_metrics` over
    clips of one speaker, and baseline_lip_velocity_error, that of the baseline where there is one."""
    generated, tracked = ([getattr(one, side) for one in comparisons] for side in ("generated", "tracked"))
    found = closures(generated, tracked, [one.words for one in comparisons])
    sampled = [one for one in comparisons if len(one.sampled) > 1]
    baseline = [ClipFigures.of(one.baseline, one.tracked) for one in comparisons if one.baseline is not None]
    return (mouth_metrics(list(zip(generated, tracked)))
            | {"baseline_lip_velocity_error": mean(one.lip_velocity_error for one in baseline)}
            | sync_metrics(comparisons, SyncExpert.load()) | reading_metrics(comparisons, load_judge())
            | bilabial_metrics(found)
            | seed_metrics([one.sampled for one in sampled], [one.tracked for one in sampled]))


def load_baseline(model: str = "") -> MelRegression | None:
    """The regression trained together with the generator in `model` (the shipped one by default), where it is kept."""
    path = baseline_path(model or RELEASE)
    return MelRegression.load(path) if path.is_file() else None


def evaluate_motion(corpus: str | Path | None = None, person: PreparedPerson | str | Path | None = None,
                    avatar: Avatar | str | Path | None = None, out: str | Path | None = None,
                    config: MotionConfig = MotionConfig(), split: str | Path | None = None,
                    measures: MouthMeasures | None = None) -> dict:
    """Generated against tracked motion, on the held-out clips of a corpus or on a prepared person.

    Args:
        corpus: a prepared corpus (file or folder); or
        person: a prepared person (folder), their held-out frames.
        avatar: of that person; the motion is then fitted to them.
        out: HTML report to write; None for none.
        split: text file that names the corpus' clips to evaluate on; by default those held out when it was prepared.

    Returns:
        the figures of `metrics`; sampled_at, the temperature of the motions that seeds are compared on
        (`config.temperature`, 1 where that is 0); with an avatar `unadapted`, the figures of `mouth_metrics` without
        it; report, the page or None.

    Raises:
        UserError: neither or both of corpus and person, nothing held out, or features that the model was not made for.
    """
    if (corpus is None) == (person is None):
        raise UserError("evaluate-motion: give either --corpus DIR or --person PERSON_DIR")
    measures = measures or MouthMeasures.of_basis()
    sampled_at = config.temperature or 1.0
    baseline = load_baseline(config.model)
    before: dict = {}
    if corpus is not None:
        data = MotionCorpus(corpus)
        chosen = data.test if split is None else np.flatnonzero(read_split(Path(split), data.names))
        if not len(chosen):
            raise UserError(f"{corpus}: no clip is held out; prepare the corpus with a larger share held out")
        generator = load_generator(config.model)
        if generator.spec.causal != data.streamed:
            kind = "streamed" if data.streamed else "of whole recordings"
            raise UserError(f"{corpus}: its features are {kind}, which is not what the motion model hears; give a "
                            f"corpus prepared with --set streamed={str(not data.streamed).lower()}")
        compared = compare_clips(generator, data, chosen, measures, config.temperature, config.seed,
                                 sampled_at, baseline)
    else:
        person = person if isinstance(person, PreparedPerson) else PreparedPerson.open(person)
        if not len(person.held_out_frames):
            raise UserError(f"{person.path}: no frame is held out; prepare a longer video")
        loaded = Avatar.load(avatar) if isinstance(avatar, (str, Path)) else avatar
        compared = [compare_person(person, loaded, config, measures, sampled_at=sampled_at, baseline=baseline)]
        if loaded is not None:
            plain = compare_person(person, None, config, measures)
            before = {"unadapted": mouth_metrics([(plain.generated, plain.tracked)])}
    result = metrics(compared) | before | {"sampled_at": sampled_at, "report": None}
    if out is not None:
        from .evaluation_page import write_page

        result["report"] = str(write_page(Path(out), compared, result | {"report": Path(out).name}))
    return result
