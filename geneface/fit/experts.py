"""Training of the experts that know what talking lips look like (`geneface train-motion --part ...`)."""
from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from ..corpus import Clip, MotionCorpus
from ..errors import UserError
from ..face.landmarks import LIPS_68
from ..motion.lipreader import LipReader, ReaderSpec, word_error_rate
from ..motion.measures import MouthMeasures
from ..motion.sync import SyncExpert, audible, contrast
from ..progress import say, track
from .checkpoint import load_checkpoint, save_checkpoint
from .motion.objective import autocast
from .mouths import Spoken, splice, vary, warp

_WARM_UP = 50  # steps
_CHECKPOINT_SECONDS = 60.0
_STATISTICS = 400  # clips that normalisation is measured on, at most


@dataclass(frozen=True)
class Plan:
    """How a part is trained.

    Attributes:
        steps: optimisation steps.
        seed: of weights, draws and augmentation.
        batch: clips per step.
        learning_rate: peak, with warm-up and a cosine to 2 % of it.
        architecture: of a reader.
    """

    steps: int
    seed: int
    batch: int = 32
    learning_rate: float = 2e-3
    architecture: str = ""


PLANS = {
    "sync": Plan(steps=500, seed=1),
    "reader": Plan(steps=900, seed=2, architecture="convolution"),
    "judge": Plan(steps=900, seed=3, architecture="recurrent"),
}


class _Mouths:
    """Mouths of a corpus' clips."""

    def __init__(self, corpus: MotionCorpus) -> None:
        self.corpus = corpus
        self.measures = MouthMeasures.of_basis()

    def of(self, clip: Clip) -> np.ndarray:
        """[T, 20, 3] lip landmarks on the mean face [m]."""
        return self.measures.landmarks(clip.expression.numpy())[:, LIPS_68].astype(np.float32)

    def some(self) -> list[np.ndarray]:
        """Of training clips spread over the corpus."""
        indices = self.corpus.train[:: max(1, len(self.corpus.train) // _STATISTICS)]
        return [self.of(self.corpus.clip(int(i))) for i in indices]


class SyncTask:
    """The sync expert: a batch holds pairs of clips, one speaker's where it can, so that every sound is told from
    other moments of its own clip (2 frames off and more), of the same voice and of other voices."""

    def __init__(self, corpus: MotionCorpus, plan: Plan) -> None:
        self.corpus, self.plan = corpus, plan
        self.random = np.random.default_rng(plan.seed)
        self.mouths = _Mouths(corpus)
        torch.manual_seed(plan.seed)
        self.model = SyncExpert()
        self.model.mouth.fit(self.mouths.some())
        indices = corpus.train[:: max(1, len(corpus.train) // _STATISTICS)]
        content = torch.cat([corpus.clip(int(i), n % corpus.renderings).content for n, i in enumerate(indices)])
        self.model.content_mean.copy_(content.mean(0))
        self.model.content_std.copy_(content.std(0).clamp(min=1e-3))

    def loss(self) -> dict[str, torch.Tensor]:
        """Of one random batch."""
        contents, melodies, mouths = [], [], []
        for index in self.random.choice(self.corpus.train, self.plan.batch):
            clip = self.corpus.clip(int(index), int(self.random.integers(self.corpus.renderings)))
            standard = (clip.content - self.model.content_mean) / self.model.content_std
            contents.append(_heard_otherwise(standard, self.random))
            melodies.append(clip.melody * float(self.random.random() > 0.2))
            mouths.append(torch.from_numpy(vary(self.mouths.of(clip), self.random)))
            melodies[-1][:, 1] = clip.melody[:, 1]  # its energy says which frames count
        mask = pad_sequence([torch.ones(len(mouth)) for mouth in mouths], batch_first=True)
        content, melody = (pad_sequence(x, batch_first=True).transpose(1, 2) for x in (contents, melodies))
        with autocast(torch.device("cpu")):
            sound = self.model.embed_standardised(content, melody, mask)
            lips = self.model.embed_mouth(pad_sequence(mouths, batch_first=True), mask)
        others = lips.roll(1, 0), mask.roll(1, 0)
        return {"contrast": contrast(sound.float(), lips.float(), audible(melody, mask), mask,
                                     self.model.spec.temperature, others)}

    def held_out(self) -> dict:
        """Offsets on the held-out clips, as they are and with the mouth moved by -5, -3, 3 and 5 frames. Within 1 means
        to the nearest whole frame, as SyncNet's are; `offset_within_1` counts fractions too."""
        found: dict[int, list[float]] = {shift: [] for shift in (0, -5, -3, 3, 5)}
        confidence, distance = [], []
        for index in self.corpus.test:
            clip = self.corpus.clip(int(index))
            content, melody, mouth = clip.content.T, clip.melody.T, torch.from_numpy(self.mouths.of(clip))
            for shift in found:
                late, early = max(0, shift), max(0, -shift)
                frames = len(mouth) - abs(shift)
                result = self.model.offset(content[:, 2 * late:2 * (late + frames)],
                                           melody[:, 2 * late:2 * (late + frames)], mouth[early:early + frames])
                found[shift].append(result.frames)
                if shift == 0:
                    confidence.append(result.confidence)
                    distance.append(result.distance)
        within = {shift: float(np.mean(np.abs(np.round(frames) - shift) <= 1)) for shift, frames in found.items()}
        return {"clips": len(self.corpus.test), "sync_within_1": within.pop(0),
                "offset_within_1": float(np.mean(np.abs(found[0]) <= 1)),
                "shift_found_within_1": min(within.values()), "confidence": float(np.mean(confidence)),
                "distance": float(np.mean(distance)), "offset_mean": float(np.mean(found[0])),
                "offset_deviation": float(np.std(found[0]))}


class ReaderTask:
    """A lip reader. New sentences are made of the corpus' words, and where words are timed every frame is told its
    word as well (cross-entropy), which CTC needs long to find out on its own."""

    def __init__(self, corpus: MotionCorpus, plan: Plan) -> None:
        self.corpus, self.plan = corpus, plan
        self.random = np.random.default_rng(plan.seed)
        self.mouths = _Mouths(corpus)
        self.clips = [int(i) for i in corpus.train if corpus.about(int(i)).sentence]
        self.test = [int(i) for i in corpus.test if corpus.about(int(i)).sentence]
        if not self.clips:
            raise UserError(f"{corpus.path}: no clip says which words it holds; a lip reader needs GRID's names, "
                            f"alignments or texts")
        said = [corpus.about(i).sentence for i in self.clips]
        words = tuple(sorted({word for row in said for word in row}))
        slots = ()
        if len({len(row) for row in said}) == 1:
            slots = tuple(tuple(sorted(set(place))) for place in zip(*said))
        torch.manual_seed(plan.seed)
        self.model = LipReader(ReaderSpec(words, slots, plan.architecture))
        self.model.features.fit(self.mouths.some())

    def loss(self) -> dict[str, torch.Tensor]:
        """Of one random batch."""
        drawn = [self._draw() for _ in range(self.plan.batch)]
        mouths = [torch.from_numpy(vary(spoken.mouth, self.random)) for spoken in drawn]
        mask = pad_sequence([torch.ones(len(mouth)) for mouth in mouths], batch_first=True)
        labels = torch.full(mask.shape, -100)
        for row, spoken in zip(labels, drawn):
            if len(spoken.times):
                row[:len(spoken.mouth)] = 0
            for (first, end), label in zip(spoken.times, self.model.encode(spoken.words)):
                first = max(0, round(float(first)))
                row[first:min(len(spoken.mouth), max(first + 1, round(float(end))))] = label
        with autocast(torch.device("cpu")):
            log_probs = self.model(pad_sequence(mouths, batch_first=True), mask).float()
        parts = {"ctc": self.model.ctc(log_probs, mask, [spoken.words for spoken in drawn])}
        if (labels >= 0).any():
            parts["frames"] = F.nll_loss(log_probs.transpose(1, 2), labels, ignore_index=-100)
        return parts

    def _draw(self) -> Spoken:
        """A training clip, most often with some of its words from other clips, in another tempo, from a random
        start."""
        spoken = self._spoken(int(self.random.choice(self.clips)))
        for _ in range(2):
            other = self._spoken(int(self.random.choice(self.clips)))
            first = int(self.random.integers(max(1, len(spoken.words))))
            last = min(len(spoken.words), first + int(self.random.integers(1, 4)))
            timed = len(spoken.times) and len(other.words) == len(spoken.words) == len(other.times)
            if timed and self.random.random() < 0.7:
                spoken = splice(spoken, other, first, last)
        spoken = warp(spoken, self.random)
        room = int(spoken.times[0, 0]) if len(spoken.times) else 0
        start = int(self.random.integers(0, min(6, max(1, room))))
        return Spoken(spoken.mouth[start:], spoken.words, spoken.times - start)

    def _spoken(self, index: int) -> Spoken:
        info, mouth = self.corpus.about(index), self.mouths.of(self.corpus.clip(index))
        words = info.sentence
        timed = info.words if info.words is not None and len(info.words) == len(words) else ()
        times = 25.0 * np.array([row[:2] for row in timed], np.float64).reshape(-1, 2)
        return Spoken(mouth - mouth.mean(0), words, times)

    def held_out(self) -> dict:
        """Word error rates on the held-out clips, with and without the grammar."""
        said = [self.corpus.about(i).sentence for i in self.test]
        mouths = [self.mouths.of(self.corpus.clip(i)) for i in self.test]
        figures: dict = {"clips": len(self.test)}
        if self.test:
            figures["wer_real"] = word_error_rate(
                (words, self.model.read(mouth)) for words, mouth in zip(said, mouths))
            figures["wer_real_without_grammar"] = word_error_rate(
                (words, self.model.read(mouth, grammar=False)) for words, mouth in zip(said, mouths))
            if self.model.spec.slots:
                read = [self.model.read(mouth) for mouth in mouths]
                figures["wrong_by_place"] = [float(np.mean([a != b for a, b in zip(*place)])) for place in zip(
                    zip(*said), zip(*read))]
        return figures


TASKS = {"sync": SyncTask, "reader": ReaderTask, "judge": ReaderTask}


def train_expert(part: str, corpus: str | Path, out: str | Path, *, steps: int | None = None,
                 seed: int | None = None, resume: bool = True,
                 on_step: Callable[[int, dict], None] | None = None) -> dict:
    """Train the sync expert or a lip reader.

    Beside `out` a folder `<name>.run` keeps the checkpoint; the same command goes on from there.

    Args:
        part: "sync", "reader" or "judge" (a reader of another architecture and seed).
        corpus: a prepared corpus (file or folder).
        out: the file to write (safetensors).
        steps, seed: by default those of `PLANS`.
        resume: go on from the run's checkpoint where there is one.
        on_step: called after every step with its number and losses.

    Returns:
        steps, minutes, model, size_mb and `held_out`.

    Raises:
        UserError: no corpus, nothing to train on, the checkpoint is of another run, or the loss is not finite.
        ValueError: no such part.
    """
    if part not in PLANS:
        raise ValueError(f"part: {part!r} is none of {', '.join(PLANS)}")
    plan = PLANS[part]
    plan = replace(plan, steps=steps or plan.steps, seed=plan.seed if seed is None else seed)
    data, out = MotionCorpus(corpus), Path(out)
    if not len(data.train):
        raise UserError(f"{corpus}: no clip to train on (all are held out); add clips")
    task = TASKS[part](data, plan)
    model = task.model
    optimiser = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate, betas=(0.9, 0.98), weight_decay=0.05)
    average = {name: value.detach().clone() for name, value in model.named_parameters()}
    checkpoint = out.with_name(out.stem + ".run") / "checkpoint.safetensors"
    identity = {"part": part, "seed": plan.seed, "steps": plan.steps, "clips": hashlib.sha256(
        "\n".join(data.names[i] for i in data.train).encode()).hexdigest()}
    done, spent = 0, 0.0
    if resume and checkpoint.is_file():
        done, spent = _restore(checkpoint, model, average, optimiser, task, identity)
    began = last_save = time.monotonic()

    def save() -> None:
        save_checkpoint(checkpoint, model, average, {"adam": optimiser}, {
            "identity": identity, "step": done, "seconds": spent + time.monotonic() - began,
            "random": task.random.bit_generator.state})

    model.train()
    try:
        for step in track(range(done, plan.steps), f"training {part}", unit="steps"):
            for group in optimiser.param_groups:
                group["lr"] = _learning_rate(step, plan)
            parts = task.loss()
            total = sum(parts.values())
            optimiser.zero_grad(set_to_none=True)
            total.backward()
            norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0))
            if not (math.isfinite(total.item()) and math.isfinite(norm)):
                raise UserError(f"step {step}: the loss is not finite; lower the learning rate and run again")
            optimiser.step()
            done = step + 1
            for name, value in model.named_parameters():
                average[name].lerp_(value.detach(), 1 - min(0.998, (1 + step) / (10 + step)))
            if on_step:
                on_step(step, {name: value.item() for name, value in parts.items()})
            if time.monotonic() - last_save > _CHECKPOINT_SECONDS:
                save()
                last_save = time.monotonic()
    except KeyboardInterrupt:
        save()
        say(f"stopped after {done} steps; the same command goes on from there")
        raise
    save()
    model.load_state_dict(model.state_dict() | average)
    model.eval()
    held_out = task.held_out() if len(data.test) else {}
    minutes = (spent + time.monotonic() - began) / 60
    model.save(out, {"part": part, "steps": done, "seed": plan.seed, "batch": plan.batch, "minutes": round(minutes, 1),
                     "learning_rate": plan.learning_rate, "held_out": held_out, "clips": len(data.train),
                     "corpus": data.info})
    return {"steps": done, "minutes": minutes, "model": str(out), "size_mb": out.stat().st_size / 2**20,
            "held_out": held_out}


def _restore(path: Path, model: torch.nn.Module, average: dict, optimiser: torch.optim.Optimizer,
             task: SyncTask | ReaderTask, identity: dict) -> tuple[int, float]:
    """Step and seconds to go on from."""
    try:
        header = load_checkpoint(path, model, average, {"adam": optimiser})
        same = header["identity"] == identity
        task.random.bit_generator.state = header["random"]
    except (UserError, KeyError, ValueError) as error:
        raise UserError(f"{path}: unreadable checkpoint; delete {path.parent} to start anew") from error
    if not same:
        raise UserError(f"{path}: is of another part, corpus or plan; delete {path.parent} to start anew")
    say(f"going on from step {header['step']}")
    return int(header["step"]), float(header["seconds"])


def _learning_rate(step: int, plan: Plan) -> float:
    warm = min(1.0, (step + 1) / min(_WARM_UP, plan.steps))
    return plan.learning_rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / plan.steps)))


def _heard_otherwise(content: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    """Standardised features [2T, 512] of another voice, more or less: channels dropped, noise, gaps."""
    keep = torch.from_numpy((random.random(content.shape[1]) >= 0.3).astype(np.float32)) / 0.7
    noise = torch.from_numpy(random.standard_normal(content.shape, np.float32))
    content = content * keep + 0.4 * noise
    first = int(random.integers(len(content)))
    content[first:first + int(random.integers(4, 16))] = 0
    return content
