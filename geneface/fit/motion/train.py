"""The training loop (`geneface train-motion`)."""
from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from ...config import MotionConfig
from ...corpus import MotionCorpus
from ...errors import UserError
from ...face.arkit import ARKIT_NAMES
from ...motion.baseline import MelRegression, baseline_path
from ...motion.measures import MouthMeasures
from ...motion.vae import GeneratorSpec, MotionGenerator
from ...progress import say, track
from ...types import require
from . import checkpoint
from .batches import Sampler, shares
from .experts import Experts
from .monitor import Monitor
from .objective import Objective
from .processes import Processes, joined
from .statistics import measure_features, measure_range
from .validation import held_out_metrics

# Speech does not drive these: eyes blink and look on their own (`motion.predict`), and no tracker sees the tongue.
_UNDRIVEN = ("eye", "tongueOut")
DRIVEN = tuple(name for name in ARKIT_NAMES if not name.startswith(_UNDRIVEN))

_WARM_UP = 200  # steps, at most a tenth of all
# Options that must stay as they are for a run to go on: all that a step depends on.
_FIXED = ("batch", "mix", "trust", "learning_rate", "kl_weight", "prior_weight", "sample_weight", "velocity_weight",
          "acceleration_weight", "sync_weight", "reader_weight", "experts_from", "sync_expert", "lip_reader", "seed")


def train_motion(corpora: str | Path | Sequence[str | Path], out: str | Path, config: MotionConfig = MotionConfig(), *,
                 resume: bool = True, measures: MouthMeasures | None = None, minutes: float | None = None,
                 on_step: Callable[[int, dict], None] | None = None,
                 spec: GeneratorSpec | None = None) -> dict | None:
    """Train a motion generator, and the regression from log-mel that it is compared with.

    Beside `out` the baseline is written (`<name>_baseline.safetensors`), and a folder `<name>.run` keeps the checkpoint
    and the tensorboard log; the same command goes on from there. Started by torchrun in several processes, they share
    the work: every step's clips are the same as in one process.

    Args:
        corpora: prepared corpora (files or folders), what the model is for first.
        out: the model file to write (safetensors).
        resume: go on from the run's checkpoint where there is one.
        measures: mouth measures of the face basis; by default of the package's own.
        minutes: stop after so many minutes of this call, with the learning rate's schedule bent to fit.
        on_step: called after every step with its number and losses.
        spec: of the generator; by default causal where the corpora hold streamed features.

    Returns:
        steps, minutes, model, size_mb, `held_out` and `baseline_held_out` of the first corpus (see
        `motion.metrics.mouth_metrics`); None in processes other than the first.

    Raises:
        UserError: no corpus, nothing to train on, features of two kinds, the checkpoint is of another corpus or
            configuration, or the loss is not finite.
    """
    paths = [corpora] if isinstance(corpora, (str, Path)) else list(corpora)
    require(len(paths) > 0, "corpora: none given")
    data = [MotionCorpus(path) for path in paths]
    for path, corpus in zip(paths, data):
        if not len(corpus.train):
            raise UserError(f"{path}: no clip to train on (all are held out); add clips")
    streamed = [corpus.streamed for corpus in data]
    if len(set(streamed)) > 1:
        raise UserError(f"{paths[streamed.index(True)]}: holds streamed features and {paths[streamed.index(False)]} "
                        "does not; prepare all with the same 'streamed'")
    spec = spec or GeneratorSpec(DRIVEN, causal=streamed[0])
    with joined(config.device) as processes:
        training = Training(data, Path(out), config, processes, measures or MouthMeasures.of_basis(), spec)
        if resume:
            training.restore()
        began = time.monotonic()
        training.run(minutes, on_step)
        return training.finish((time.monotonic() - began) / 60) if processes.first else None


class Training:
    """A training under way: models, optimiser and where it stands.

    Attributes:
        model, baseline: what trains.
        average: exponential moving average of the model's weights: what is evaluated and shipped.
        average_baseline: the same of the baseline.
        done: steps.
    """

    def __init__(self, corpora: list[MotionCorpus], out: Path, config: MotionConfig, processes: Processes,
                 measures: MouthMeasures, spec: GeneratorSpec) -> None:
        self.config, self.done = config, 0
        self._corpora, self._out, self._processes, self._measures = corpora, out, processes, measures
        torch.manual_seed(config.seed)
        self.model, self.baseline = MotionGenerator(spec), MelRegression(spec.driven)
        measure_features(corpora, self.model, self.baseline, measures)
        # The sampler keeps the untouched copy: it standardises on the CPU.
        resting = copy.deepcopy(self.model)
        self._mix, self._trust = shares(corpora, config.mix, "mix"), shares(corpora, config.trust, "trust")
        if not config.mix:
            self._mix *= [len(corpus.train) for corpus in corpora]
        self._mix /= self._mix.sum()
        self._sampler = Sampler(corpora, resting, self._mix, self._trust, config, processes)
        self._drawn = list(self._sampler.drawn)  # after the last whole step: a stop may come in the middle of one
        for module in (self.model, self.baseline):
            module.to(processes.device)
        self.average, self.average_baseline = copy.deepcopy(self.model), copy.deepcopy(self.baseline)
        experts = Experts.of_config(config, measures, resting, processes.device)
        self._objective = Objective(self.model, self.baseline, measures, config, processes, experts)
        self._optimiser = torch.optim.AdamW(self._objective.parameters(), lr=config.learning_rate, betas=(0.9, 0.98),
                                            weight_decay=0.05)
        self._checkpoint = out.with_name(out.stem + ".run") / "checkpoint.safetensors"

    def run(self, minutes: float | None = None, on_step: Callable[[int, dict], None] | None = None) -> None:
        """Train to the last step, or for `minutes`; the state is saved on the way and at the end."""
        config, first = self.config, self._processes.first
        objective = self._processes.shared(self._objective)
        began = last_save = time.monotonic()
        steps = range(self.done, config.steps)
        with Monitor(self._checkpoint.parent, self.done, first) as monitor:
            try:
                self._objective.train()
                for step in track(steps, "training motion", unit="steps") if first else steps:
                    spent = (time.monotonic() - began) / (60 * minutes) if minutes else 0.0
                    spent = self._processes.agreed(spent) if minutes else spent
                    if spent > 1:
                        break
                    scalars = self._step(objective, step, spent)
                    if on_step:
                        on_step(step, scalars)
                    if first and step % 20 == 0:
                        monitor.scalars("train", scalars, step)
                    if first and time.monotonic() - last_save > 60 * config.checkpoint_minutes:
                        self.save()
                        monitor.validate(self._evaluated(), self._corpora, self._measures, config, step)
                        last_save = time.monotonic()
            except KeyboardInterrupt:
                if first:
                    self.save()
                    say(f"stopped after {self.done} steps; the same command goes on from there")
                raise
        if first:
            self.save()

    def _step(self, objective: torch.nn.Module, step: int, spent: float) -> dict[str, float]:
        """One step of the optimiser; its losses."""
        # Dropout is a function of step and process, so that nothing about it need be kept to go on.
        torch.manual_seed((self.config.seed * 1_000_003 + step) * 1009 + self._processes.rank)
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(step, spent, self.config)
        share = max((step + 1) / self.config.steps, spent)
        parts = objective(self._sampler.draw(step).to(self._processes.device), share)
        self._optimiser.zero_grad(set_to_none=True)
        parts["total"].backward()
        norms = [float(torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0))
                 for module in (self.model, self.baseline)]
        scalars = {name: value.item() for name, value in parts.items()} | {"gradient_norm": norms[0]}
        if not all(math.isfinite(value) for value in (*scalars.values(), *norms)):
            raise UserError(self._not_finite(scalars, step))
        self._optimiser.step()
        decay = min(0.999, (1 + step) / (10 + step))
        _follow(self.average, self.model, decay)
        _follow(self.average_baseline, self.baseline, decay)
        self.done, self._drawn = step + 1, list(self._sampler.drawn)
        return scalars

    def finish(self, minutes: float) -> dict:
        """Measure on the held-out clips and write both models. Returns what `train_motion` does."""
        model, baseline = self._evaluated(), copy.deepcopy(self.average_baseline).cpu().eval()
        measure_range(self._corpora[0], model, self._measures)
        measured = [held_out_metrics(model, baseline, corpus, self._measures) for corpus in self._corpora]
        rows = [{"clips": len(corpus.train), "share": float(share), "trust": float(trust), "info": corpus.info,
                 "held_out": figures}
                for corpus, share, trust, (figures, _) in zip(self._corpora, self._mix, self._trust, measured)]
        result = dict(zip(("held_out", "baseline_held_out"), measured[0]))
        model.save(self._out, {"steps": self.done, "minutes": round(minutes, 1), "config": asdict(self.config),
                               "corpora": rows} | result)
        baseline.save(baseline_path(self._out))
        return {"steps": self.done, "minutes": minutes, "model": str(self._out),
                "size_mb": self._out.stat().st_size / 2**20} | result

    def save(self) -> None:
        """Write the checkpoint."""
        checkpoint.save(self._checkpoint, self._modules(), self._optimiser,
                        {"step": self.done, "drawn": self._drawn}, self._identity())

    def restore(self) -> None:
        """Go on from the checkpoint where there is one. Raises UserError where it is damaged or of another run."""
        state = checkpoint.restore(self._checkpoint, self._modules(), self._optimiser, self._identity())
        if state is not None:
            self.done, self._drawn, self._sampler.drawn = state["step"], state["drawn"], list(state["drawn"])
            if self._processes.first:
                say(f"going on from step {self.done}")

    def _modules(self) -> dict[str, torch.nn.Module]:
        return {"model": self.model, "average": self.average, "baseline": self.baseline,
                "average_baseline": self.average_baseline}

    def _identity(self) -> dict:
        """What must be unchanged for a run to go on."""
        return {"config": {name: getattr(self.config, name) for name in _FIXED}, "spec": asdict(self.model.spec),
                "clips": [hashlib.sha256("\n".join(corpus.names).encode()).hexdigest() for corpus in self._corpora]}

    def _evaluated(self) -> MotionGenerator:
        """The average, as it is used."""
        return copy.deepcopy(self.average).cpu().eval()

    def _not_finite(self, scalars: dict[str, float], step: int) -> str:
        bad = [name for name, value in scalars.items() if not math.isfinite(value) and name != "total"]
        bad += [name for name, value in self._objective.named_parameters()
                if value.grad is not None and not value.grad.isfinite().all()]
        path = self._checkpoint
        kept = f"{path} holds the last good state" if path.is_file() else "no checkpoint was written yet"
        return f"step {step}: {', '.join(bad[:4]) or 'loss'} is not finite; {kept}: lower learning_rate and run again"


def learning_rate(step: int, spent: float, config: MotionConfig) -> float:
    """Warm-up, then a cosine over the steps, or over the time allowed (`spent` is the share gone) where that ends
    sooner."""
    warm_up = min(_WARM_UP, config.steps // 10)
    if step < warm_up:
        return config.learning_rate * (step + 1) / warm_up
    share = min(1.0, max((step - warm_up) / max(1, config.steps - warm_up), spent))
    return config.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))


@torch.no_grad()
def _follow(average: torch.nn.Module, model: torch.nn.Module, decay: float) -> None:
    for slow, fast in zip(average.parameters(), model.parameters()):
        slow.lerp_(fast, 1 - decay)
