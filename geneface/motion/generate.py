"""Run the motion generator over speech of any length in constant memory."""
from __future__ import annotations

import numpy as np
import torch

from ..face.arkit import ARKIT_NAMES
from ..types import EXPRESSIONS
from .vae import STRIDE, MotionGenerator

_CHUNK = 1024  # motion frames generated at once


@torch.inference_mode()
def generate_weights(model: MotionGenerator, content: np.ndarray, melody: np.ndarray, temperature: float = 0.0,
                     seed: int = 0, chunk: int = _CHUNK, first_stride: int = 0) -> np.ndarray:
    """Expression weights for speech features.

    Long speech is cut into chunks with as much context as the network can see, so the result does not depend on
    `chunk`.

    Args:
        content: [N, 512] content features at 50 Hz.
        melody: [N, 3] of `speech.melody.melody`.
        temperature: standard deviation of the prior's noise; 0 for the most likely motion.
        seed: of that noise, which belongs to the time: the same whatever comes after.
        chunk: frames at once, a multiple of 4.
        first_stride: where in a longer recording the features begin [4 frames], for the noise.

    Returns:
        [ceil(N/2), 52] float32 ARKit weights in [0, 1] at 25 fps; those that speech does not drive are 0.
    """
    frames = -(-len(content) // 2)
    out = np.zeros((frames, EXPRESSIONS), np.float32)
    driven = [ARKIT_NAMES.index(name) for name in model.spec.driven]
    strides = -(-frames // STRIDE)
    noise = torch.zeros(1, model.spec.latent, strides)
    if temperature > 0:
        rows = [np.random.default_rng([seed, first_stride + k]).standard_normal(model.spec.latent, np.float32)
                for k in range(strides)]
        noise = torch.from_numpy(temperature * np.stack(rows, axis=1))[None]
    for first in range(0, frames, chunk):
        low = max(0, first - model.reach)
        high = min(strides * STRIDE, first + chunk + model.reach)
        heard = np.zeros((2 * (high - low), content.shape[1]), np.float32)
        tune = np.zeros((2 * (high - low), melody.shape[1]), np.float32)
        piece = slice(2 * low, min(2 * high, len(content)))
        count = piece.stop - piece.start
        # Past the end of the recording the network sees zeros, as it did past the ends of the training clips.
        heard[:count] = model.standardise_content(torch.from_numpy(content[piece])).numpy()
        tune[:count] = melody[piece]
        motion = model.generate(torch.from_numpy(heard.T)[None], torch.from_numpy(tune.T)[None],
                                noise[..., low // STRIDE:high // STRIDE])
        last = min(frames, first + chunk)
        out[first:last, driven] = model.weights(motion)[0, first - low:last - low].clamp(0, 1).numpy()
    return out
