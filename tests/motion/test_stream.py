"""Streamed motion: the same for any pushes, no frame before its time, joined without seams."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from geneface.config import MotionConfig
from geneface.errors import UserError
from geneface.fit.motion import DRIVEN
from geneface.motion.generate import generate_weights
from geneface.motion.predict import predict
from geneface.motion.stream import MotionStream, _Gate
from geneface.motion.vae import GeneratorSpec, MotionGenerator
from geneface.speech.stream import stream_features
from geneface.types import Avatar, SpeechFeatures

HOP = 2560
CONFIG = MotionConfig(lead=0.0, silence_gate=0.0, blink=0.0, gaze=0.0, breathing=0.0)


class Ears(torch.nn.Module):
    """An encoder that spreads the level of every frame over the channels."""

    def forward(self, mel: torch.Tensor, kept: slice) -> torch.Tensor:
        level = mel.mean(1).reshape(len(mel), -1, 2).mean(-1)[:, kept, None]
        return torch.sin(level * torch.linspace(1, 20, 512))


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> tuple[MotionGenerator, str]:
    torch.manual_seed(0)
    model = MotionGenerator(GeneratorSpec(DRIVEN, hidden=16, causal=True))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "leave" in name:
                value.normal_(std=0.2)
        model.weight_mean.fill_(0.4)
        model.weight_std.fill_(3.0)
        model.content_std.fill_(0.1)
    path = tmp_path_factory.mktemp("model") / "causal.safetensors"
    model.save(path, {})
    return MotionGenerator.load(path)[0], str(path)


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    level = np.repeat(random.uniform(0, 0.3, int(seconds * 10) + 1), 1600)[:int(seconds * 16000)]
    return (level * random.standard_normal(len(level))).astype(np.float32)


def streamed(audio: np.ndarray, config: MotionConfig, sizes: list[int], avatar: Avatar | None = None):
    stream = MotionStream(avatar, config, encoder=Ears())
    parts, first, turn = [], 0, 0
    while first < len(audio):
        parts.append(stream.push(audio[first:first + sizes[turn % len(sizes)]]))
        first, turn = first + sizes[turn % len(sizes)], turn + 1
    parts = [part for part in [*parts, stream.finish()] if part is not None]
    return {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("expression", "blink", "gaze")}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_equals_the_whole_recording(model, temperature):
    """What is left of the past is enough: 7 s, longer than the generator hears, as if generated at once."""
    generator, path = model
    audio = sound(7.3)
    features = stream_features(audio, Ears())
    expected = generate_weights(generator, features.content, features.melody, temperature, seed=3)
    found = streamed(audio, replace(CONFIG, model=path, temperature=temperature, seed=3), [16000])["expression"]
    assert len(expected) * 640 > generator.reach * 640 + 16000 and expected.std(axis=0).max() > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_any_pushes_give_the_same(model):
    config = MotionConfig(model=model[1], temperature=0.7, seed=1, blinks_per_minute=60)
    audio = sound(1.9)
    whole = streamed(audio, config, [len(audio)])
    assert len(whole["expression"]) == -(-len(audio) // 640)
    for sizes in ([HOP], [333, 7000, 1, 2559]):
        again = streamed(audio, config, sizes)
        for name, values in whole.items():
            np.testing.assert_array_equal(again[name], values)


def test_no_frame_hears_more_than_320_ms_ahead(model):
    """Of sound, the lead of the lips included; and motion comes out as soon as that much was heard."""
    config = replace(CONFIG, model=model[1], lead=0.02)
    audio, frame = sound(1.6), 20  # the first of a hop
    heard = frame * 640 + 5120
    other = audio.copy()
    other[heard:] = 0.5
    before, after = (streamed(x, config, [len(x)])["expression"] for x in (audio, other))
    np.testing.assert_array_equal(after[:frame + 4], before[:frame + 4])
    assert np.abs(after[frame + 4:] - before[frame + 4:]).max() > 1e-4
    stream = MotionStream(None, config, encoder=Ears())
    assert len(stream.push(audio[:heard - 1])) == frame
    assert len(stream.push(audio[heard - 1:heard])) == 4


def test_person_is_treated_frame_by_frame(model):
    """The person's manifold and range hold, and hops leave no mark: the same person one frame later in the hop."""
    random = np.random.default_rng(0)
    generator, path = model
    from geneface.motion.measures import MouthMeasures

    reference = random.uniform(0.2, 0.6, (60, 52)).astype(np.float32)

    class Recorded:
        motion: dict = {}
        motion_reference = MouthMeasures.of_basis().landmarks(reference).astype(np.float32)
        expression_reference = reference

    config = replace(CONFIG, model=path, lle_strength=1.0)
    audio = sound(1.3)
    found = streamed(audio, config, [5000], Recorded())["expression"]
    low, high = np.quantile(reference, [config.clamp_quantile, 1 - config.clamp_quantile], axis=0)
    from geneface.motion.manifold import PersonSpace

    rest = PersonSpace(Recorded.motion_reference, reference).rest
    assert (found >= np.minimum(low, rest) - 1e-5).all() and (found <= np.maximum(high, rest) + 1e-5).all()
    plain = streamed(audio, replace(config, lle_strength=0.0), [5000], Recorded())["expression"]
    assert np.abs(found - plain).max() > 0.01


def test_post_net_is_left_out_without_a_word(model, capsys):
    """It belongs to models that hear the whole recording: fitting again would not change that."""
    class Adapted:
        motion = {"postnet.generator": np.zeros(8, np.uint8)}
        motion_reference = np.random.default_rng(0).normal(0, 0.01, (5, 68, 3)).astype(np.float32)
        expression_reference = np.full((5, 52), 0.2, np.float32)

    MotionStream(Adapted(), replace(CONFIG, model=model[1]), encoder=Ears())
    assert "post-net" not in "".join(capsys.readouterr())


def test_gate_comes_late_and_goes_early():
    """At rest before speech, through the gaps of a sentence open, at rest again when the pause has lasted."""
    speech = np.zeros(250, np.float32)
    speech[50:100] = speech[110:160] = 0.9  # a gap of 0.2 s
    gate = _Gate()
    whole = gate.quiet(speech)
    assert (whole[:25] == 1).all()
    assert (whole[29:80] == 0).all()
    assert whole[80 + 5] == 0 and (whole[80 + 13:] == 1).all()
    assert np.abs(np.diff(whole)).max() < 0.6
    again, parts = _Gate(), []
    for first in range(0, 250, 8):
        parts.append(again.quiet(speech[first:first + 8]))
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("samples", [0, 1, 320, 639, 641, 2560, 2561])
def test_short_sound(model, samples):
    stream = MotionStream(None, MotionConfig(model=model[1]), encoder=Ears())
    assert stream.push(np.zeros(samples, np.float32)) is None
    rest = stream.finish()
    assert (0 if rest is None else len(rest)) == -(-samples // 640)


def test_models_of_the_other_kind_are_refused(model, tmp_path):
    features = SpeechFeatures(*(np.zeros(s, np.float32) for s in ((8, 512), 8, 8, 8, 8)), 50.0, 1.0)
    with pytest.raises(UserError, match="--stream"):
        predict(features, None, MotionConfig(model=model[1]))
    path = tmp_path / "whole.safetensors"
    MotionGenerator(GeneratorSpec(DRIVEN, hidden=16)).save(path, {})
    with pytest.raises(UserError, match="streamed=true"):
        MotionStream(None, MotionConfig(model=str(path)), encoder=Ears())
