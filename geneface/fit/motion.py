"""Training of the motion generator on a corpus of talking clips (`geneface train-motion`)."""
from __future__ import annotations

import json
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.nn import functional as F

from ..config import MotionConfig
from ..corpus import Clip, MotionCorpus
from ..errors import UserError
from ..face.arkit import ARKIT_NAMES
from ..face.landmarks import mouth_opening
from ..motion.comparison import predict_weights
from ..motion.evaluate import corpus_metrics
from ..motion.measures import MouthMeasures
from ..motion.vae import STRIDE, GeneratorSpec, MotionGenerator
from ..progress import say, track
from ..types import write_atomically

# Speech does not drive these: eyes blink and look on their own (`motion.predict`), and no tracker sees the tongue.
_UNDRIVEN = ("eye", "tongueOut")
DRIVEN = tuple(name for name in ARKIT_NAMES if not name.startswith(_UNDRIVEN))

_WARM_UP = 200  # steps, at most a tenth of all
_QUIET = -1.25  # relative energy (20 dB units) below which a frame is heard as quiet
_CONTENT_NOISE = 0.4  # standard deviations of the corpus
_CONTENT_DROPOUT = 0.3  # share of channels, whole clips at a time
_MASKED_SPANS = (2, 4, 16)  # of content a clip: how many, shortest, longest [feature frames, 20 ms]
_MELODY_DROPOUT = 0.2  # share of clips that are heard without F0, energy and voicing


class Batch(NamedTuple):
    """Attributes: content [B,512,2T] standardised, melody [B,3,2T], motion [B,driven,T] standardised, mask [B,1,T]."""

    content: torch.Tensor
    melody: torch.Tensor
    motion: torch.Tensor
    mask: torch.Tensor


class MouthLoss:
    """Squared error on lips and weights, and on their frame differences.

    Lips are the canonical landmarks, linear in the weights, so the error in space is a quadratic form in the weights:
    one small matrix carries weights to weighted landmarks.

    Args:
        measures: landmark functionals of the 52 weights.
        driven: indices of the driven weights among the 52.
        weight_std: [driven] standard deviations over the corpus.
        velocity_weight: of the frame differences' squared error.
    """

    def __init__(self, measures: MouthMeasures, driven: list[int], weight_std: torch.Tensor,
                 velocity_weight: float) -> None:
        features = measures.features[driven] * weight_std[:, None]  # [driven, Q] per standard deviation
        # Scaled so that lips and weights count alike, whatever the unit and the number of points.
        self.features = features / features.square().sum(0).mean().sqrt()
        # A weight that hardly moved in the corpus is tracker noise: its error counts as little.
        importance = weight_std / weight_std.max()
        self.importance = (importance / importance.square().mean().sqrt() * 0.5)[None, :, None]
        self.velocity_weight = velocity_weight

    def __call__(self, predicted: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Standardised motion [B, driven, T] twice, mask [B, 1, T] -> scalar."""
        error = (predicted - target) * mask
        lips = torch.einsum("bdt,dq->bqt", error, self.features)
        both = mask[..., 1:] * mask[..., :-1]

        def mean(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
            return (x.square() * weight).sum() / (weight.sum() * x.shape[1]).clamp(min=1)

        still = mean(lips, mask) + mean(error * self.importance, mask)
        moving = mean(lips.diff(dim=-1), both) + mean((error * self.importance).diff(dim=-1), both)
        return still + self.velocity_weight * moving


class _Sampler:
    """Batches of clips: every draw picks a clip, a rendering of its audio and noise on the features."""

    def __init__(self, corpus: MotionCorpus, model: MotionGenerator, driven: list[int], config: MotionConfig) -> None:
        self.corpus, self.model, self.driven, self.config = corpus, model, driven, config
        self.random = np.random.default_rng(config.seed)
        self.torch_random = torch.Generator().manual_seed(config.seed)

    def draw(self) -> Batch:
        clips = []
        for index in self.random.choice(self.corpus.train, self.config.batch):
            clips.append(self.corpus.clip(int(index), int(self.random.integers(self.corpus.renderings))))
        return collate(clips, self.model, self.driven, self.torch_random)


def collate(clips: list, model: MotionGenerator, driven: list[int], noise: torch.Generator | None = None) -> Batch:
    """Clips of any length -> one padded batch; `noise` switches augmentation of the features on."""
    longest = max(len(clip.expression) for clip in clips)
    frames = -(-longest // STRIDE) * STRIDE
    count = len(clips)
    content = torch.zeros(count, 2 * frames, model.spec.content)
    melody = torch.zeros(count, 2 * frames, model.spec.melody)
    motion = torch.zeros(count, frames, len(driven))
    mask = torch.zeros(count, 1, frames)
    for i, clip in enumerate(clips):
        length = len(clip.expression)
        heard, tune = model.standardise_content(clip.content), clip.melody
        if noise is not None:
            keep = (torch.rand(heard.shape[1], generator=noise) >= _CONTENT_DROPOUT).float() / (1 - _CONTENT_DROPOUT)
            heard = heard * keep + _CONTENT_NOISE * torch.randn(heard.shape, generator=noise)
            count, shortest, longest = _MASKED_SPANS
            for _ in range(count):
                first = int(torch.randint(len(heard), (), generator=noise))
                heard[first:first + int(torch.randint(shortest, longest, (), generator=noise))] = 0
            if torch.rand((), generator=noise) < _MELODY_DROPOUT:
                tune = torch.zeros_like(tune)
        content[i, :2 * length], melody[i, :2 * length] = heard, tune
        motion[i, :length] = (clip.expression[:, driven] - model.weight_mean) / model.weight_std
        mask[i, 0, :length] = 1
    return Batch(content.transpose(1, 2), melody.transpose(1, 2), motion.transpose(1, 2), mask)


def _statistics(corpus: MotionCorpus, model: MotionGenerator, driven: list[int]) -> None:
    """Fill the model's corpus statistics from (at most 400 of) the training clips."""
    indices = corpus.train[:: max(1, len(corpus.train) // 400)]
    clips = [corpus.clip(int(i), int(n % corpus.renderings)) for n, i in enumerate(indices)]
    content = torch.cat([clip.content for clip in clips])
    weights = torch.cat([clip.expression for clip in clips])
    # Outlier channels of the residual stream are orders of magnitude above the rest: bounded by their own deviation.
    model.content_mean.copy_(content.mean(0))
    model.content_std.copy_(content.std(0).clamp(min=1e-3))
    model.weight_mean.copy_(weights[:, driven].mean(0))
    model.weight_std.copy_(weights[:, driven].std(0).clamp(min=1e-3))
    # The mouth at rest: the median of the frames heard as quiet.
    energy = torch.cat([_energy(clip) for clip in clips])
    quiet = weights[energy < min(_QUIET, float(energy.quantile(0.3)))]
    if len(quiet):
        rest = quiet.median(0).values
        rest[[i for i in range(len(rest)) if i not in driven]] = 0
        model.rest.copy_(rest)


def _energy(clip: Clip) -> torch.Tensor:
    """[T] relative energy at the motion's rate."""
    return clip.melody[:, 1].reshape(-1, 2).mean(1)


def _measure_range(corpus: MotionCorpus, model: MotionGenerator, measures: MouthMeasures) -> None:
    """How wide the trained model opens the mouth in speech, from 100 training clips: what a person's own range is
    compared with (the mean of likely motions moves a little less than any of them)."""
    openings = []
    for index in corpus.train[:: max(1, len(corpus.train) // 100)]:
        speaking = (_energy(corpus.clip(int(index))) >= _QUIET).numpy()
        openings.append(mouth_opening(measures.landmarks(predict_weights(model, corpus, int(index))))[speaking])
    if len(opening := np.concatenate(openings)):
        model.opening_range.fill_(float(np.ptp(np.quantile(opening, [0.05, 0.95]))))


def _learning_rate(step: int, spent: float, config: MotionConfig) -> float:
    """Warm-up, then a cosine over the steps, or over the time allowed (`spent` is the share gone) where that ends
    sooner."""
    warm_up = min(_WARM_UP, config.steps // 10)
    if step < warm_up:
        return config.learning_rate * (step + 1) / warm_up
    share = min(1.0, max((step - warm_up) / max(1, config.steps - warm_up), spent))
    return config.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))


def _autocast() -> torch.autocast:
    """Convolutions in bfloat16 where the processor multiplies it (1.7 times as fast); elsewhere it would be emulated,
    slowly."""
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    return torch.autocast("cpu", torch.bfloat16, enabled=native)


def _losses(model: MotionGenerator, batch: Batch, loss: MouthLoss) -> dict[str, torch.Tensor]:
    """Reconstruction from the posterior and from the prior's mode, and the single-sample KL divergence."""
    with _autocast():
        condition = model.condition(batch.content, batch.melody)
        below = model.down(condition)
        mean, log_std = (x.float() for x in model.encode(batch.motion, condition))
        noise = torch.randn_like(mean)
        latent = mean + noise * log_std.exp()
        mode = model.prior.inverse(torch.zeros_like(mean), below)
        white = model.prior(latent, below).float()
        sampled, likeliest = model.decode(latent, condition).float(), model.decode(mode, condition).float()
    # log q(z) - log p(z), both standard normals after volume-preserving maps: the constants cancel.
    divergence = 0.5 * (white.square() - noise.square()) - log_std
    mask = F.max_pool1d(batch.mask, STRIDE)
    return {
        "reconstruction": loss(sampled, batch.motion, batch.mask),
        "mode": loss(likeliest, batch.motion, batch.mask),
        "kl": (divergence * mask).sum() / (mask.sum() * mean.shape[1]),
    }


def train_motion(corpus: str | Path, out: str | Path, config: MotionConfig = MotionConfig(), *, resume: bool = True,
                 measures: MouthMeasures | None = None, minutes: float | None = None,
                 on_step: Callable[[int, dict], None] | None = None) -> dict:
    """Train a motion generator.

    Beside `out` a folder `<name>.run` keeps the checkpoint and the tensorboard log; the same command goes on from
    there.

    Args:
        corpus: a prepared corpus (file or folder).
        out: the model file to write (safetensors).
        resume: go on from the run's checkpoint where there is one.
        measures: mouth measures of the face basis; by default of the package's own.
        minutes: stop after so many minutes of this call, with the learning rate's schedule bent to fit.
        on_step: called after every step with its number and losses.

    Returns:
        steps, minutes, model, size_mb and `held_out` (see `motion.evaluate.corpus_metrics`).

    Raises:
        UserError: no corpus, nothing to train on, the checkpoint is of another corpus or configuration, or the loss is
            not finite.
    """
    out = Path(out)
    data = MotionCorpus(corpus)
    if not len(data.train):
        raise UserError(f"{corpus}: no clip to train on (all are held out); add clips")
    measures = measures or MouthMeasures.of_basis()
    torch.manual_seed(config.seed)
    driven = [ARKIT_NAMES.index(name) for name in DRIVEN]
    model = MotionGenerator(GeneratorSpec(DRIVEN))
    _statistics(data, model, driven)
    average = MotionGenerator(model.spec)
    average.load_state_dict(model.state_dict())
    loss = MouthLoss(measures, driven, model.weight_std, config.velocity_weight)
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.05)
    sampler = _Sampler(data, model, driven, config)
    run = out.with_name(out.stem + ".run")
    run.mkdir(parents=True, exist_ok=True)
    checkpoint = run / "checkpoint.safetensors"
    start = _restore(checkpoint, model, average, optimiser, sampler, config, data) if resume else 0
    from torch.utils.tensorboard import SummaryWriter

    log = SummaryWriter(str(run), purge_step=start)
    began = last_save = time.monotonic()
    done = start
    try:
        model.train()
        for step in track(range(start, config.steps), "training motion", unit="steps"):
            spent = (time.monotonic() - began) / (60 * minutes) if minutes else 0.0
            if spent > 1:
                break
            for group in optimiser.param_groups:
                group["lr"] = _learning_rate(step, spent, config)
            anneal = min(1.0, (step + 1) / (0.2 * config.steps))
            parts = _losses(model, sampler.draw(), loss)
            total = (parts["reconstruction"] + config.prior_weight * parts["mode"]
                     + config.kl_weight * anneal * parts["kl"])
            optimiser.zero_grad(set_to_none=True)
            total.backward()
            norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0))
            if not (math.isfinite(total.item()) and math.isfinite(norm)):
                raise UserError(_not_finite(model, parts, step, checkpoint))
            optimiser.step()
            _follow(average, model, min(0.999, (1 + step) / (10 + step)))
            done = step + 1
            scalars = {name: value.item() for name, value in parts.items()}
            if on_step:
                on_step(step, scalars)
            if step % 20 == 0:
                for name, value in scalars.items():
                    log.add_scalar(f"train/{name}", value, step)
                log.add_scalar("train/gradient_norm", norm, step)
            if time.monotonic() - last_save > 60 * config.checkpoint_minutes:
                _save(checkpoint, done, model, average, optimiser, sampler, config, data)
                last_save = time.monotonic()
                for name, value in corpus_metrics(average.eval(), data, measures, limit=20).items():
                    if isinstance(value, float):
                        log.add_scalar(f"held_out/{name}", value, step)
    except KeyboardInterrupt:
        _save(checkpoint, done, model, average, optimiser, sampler, config, data)
        say(f"stopped after {done} steps; the same command goes on from there")
        raise
    finally:
        log.close()
    _save(checkpoint, done, model, average, optimiser, sampler, config, data)
    _measure_range(data, average.eval(), measures)
    held_out = corpus_metrics(average, data, measures)
    took = (time.monotonic() - began) / 60
    average.save(out, {"steps": done, "minutes": round(took, 1), "config": asdict(config), "held_out": held_out,
                       "corpus": data.info, "clips": len(data.train)})
    return {"steps": done, "minutes": took, "model": str(out), "size_mb": out.stat().st_size / 2**20,
            "held_out": held_out}


@torch.no_grad()
def _follow(average: MotionGenerator, model: MotionGenerator, decay: float) -> None:
    """Exponential moving average of the weights: what is evaluated and shipped."""
    for slow, fast in zip(average.parameters(), model.parameters()):
        slow.lerp_(fast, 1 - decay)


def _not_finite(model: MotionGenerator, parts: dict[str, torch.Tensor], step: int, checkpoint: Path) -> str:
    bad = [name for name, value in parts.items() if not math.isfinite(value.item())]
    bad += [name for name, value in model.named_parameters()
            if value.grad is not None and not value.grad.isfinite().all()]
    kept = f"{checkpoint} holds the last good state" if checkpoint.is_file() else "no checkpoint was written yet"
    return f"step {step}: {', '.join(bad[:4]) or 'loss'} is not finite; {kept}: lower learning_rate and run again"


def _identity(config: MotionConfig, corpus: MotionCorpus) -> dict:
    """What must be unchanged for a run to go on."""
    keys = ("batch", "learning_rate", "kl_weight", "prior_weight", "velocity_weight", "seed")
    return {"config": {key: getattr(config, key) for key in keys}, "clips": corpus.names}


def _save(path: Path, step: int, model: MotionGenerator, average: MotionGenerator, optimiser: torch.optim.Optimizer,
          sampler: _Sampler, config: MotionConfig, corpus: MotionCorpus) -> None:
    """Everything that training needs to go on as if it had not stopped, in one safetensors file."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.state_dict().items()}
    for i, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{i}.{key}": value for key, value in moments.items()}
    tensors |= {"random.torch": torch.get_rng_state(), "random.noise": sampler.torch_random.get_state()}
    header = {"step": step, "identity": _identity(config, corpus), "random": sampler.random.bit_generator.state}
    tensors = {name: value.detach().clone().contiguous() for name, value in tensors.items()}
    write_atomically(path, lambda part: save_file(tensors, part, {"geneface": json.dumps(header)}))


def _restore(path: Path, model: MotionGenerator, average: MotionGenerator, optimiser: torch.optim.Optimizer,
             sampler: _Sampler, config: MotionConfig, corpus: MotionCorpus) -> int:
    """Undo `_save`; the step to go on from, 0 where there is no checkpoint."""
    if not path.is_file():
        return 0
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["geneface"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        same = header["identity"] == _identity(config, corpus)
        if same:
            def under(prefix: str) -> dict[str, torch.Tensor]:
                return {name[len(prefix):]: value for name, value in tensors.items() if name.startswith(prefix)}

            model.load_state_dict(under("model."))
            average.load_state_dict(under("average."))
            moments: dict[int, dict[str, torch.Tensor]] = {}
            for name, value in under("optimiser.").items():
                number, key = name.split(".")
                moments.setdefault(int(number), {})[key] = value
            optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
            sampler.random.bit_generator.state = header["random"]
            sampler.torch_random.set_state(tensors["random.noise"])
            torch.set_rng_state(tensors["random.torch"])
    except (SafetensorError, RuntimeError, KeyError, ValueError, OSError) as error:
        raise UserError(f"{path}: unreadable checkpoint ({error}); delete {path.parent} to start anew") from error
    if not same:
        raise UserError(f"{path}: is of another corpus or configuration; delete {path.parent} to start anew")
    say(f"going on from step {header['step']}")
    return int(header["step"])
