"""From phones to mouth shapes: ARKit expression curves with coarticulation.

Each phone has a target for the mouth's ARKit weights and, for each, a dominance: how strongly it insists. A weight at
time t is the dominance-weighted mean of the targets around t, with dominance falling off exponentially away from a
phone's centre (Cohen and Massaro 1993, "Modeling coarticulation in synthetic visual speech"), so that lips round ahead
of a "u" while an "m" still shuts them. Target values are our own, set by eye on the Anny head.
"""
from __future__ import annotations

import numpy as np

from geneface.face.arkit import ARKIT_NAMES, index

# Sides are filled in by `_shape`: "mouthSmile" means mouthSmileLeft and mouthSmileRight.
_OPEN_A = {"jawOpen": 0.66, "mouthLowerDown": 0.20, "mouthUpperUp": 0.14}
_OPEN_E = {"jawOpen": 0.40, "mouthStretch": 0.22, "mouthLowerDown": 0.22, "mouthUpperUp": 0.16, "mouthSmile": 0.10}
_OPEN_I = {"jawOpen": 0.17, "mouthStretch": 0.32, "mouthSmile": 0.26, "mouthLowerDown": 0.24, "mouthUpperUp": 0.14}
_ROUND_O = {"jawOpen": 0.42, "mouthFunnel": 0.46, "mouthPucker": 0.22, "mouthLowerDown": 0.05}
_ROUND_U = {"jawOpen": 0.15, "mouthPucker": 0.62, "mouthFunnel": 0.30}
_MID = {"jawOpen": 0.30, "mouthLowerDown": 0.12, "mouthUpperUp": 0.08}
_SHUT = {"jawOpen": 0.035, "mouthPress": 0.30, "mouthRollLower": 0.16, "mouthRollUpper": 0.12}
_TEETH_ON_LIP = {"jawOpen": 0.06, "mouthRollLower": 0.42, "mouthUpperUp": 0.26, "mouthShrugLower": 0.10}
_TEETH_TOGETHER = {"jawOpen": 0.07, "mouthStretch": 0.18, "mouthLowerDown": 0.22, "mouthUpperUp": 0.14}
_HUSH = {"jawOpen": 0.085, "mouthFunnel": 0.50, "mouthPucker": 0.25, "mouthLowerDown": 0.14, "mouthUpperUp": 0.10}
_TONGUE_TIP = {"jawOpen": 0.13, "mouthLowerDown": 0.20, "mouthUpperUp": 0.10}
_TONGUE_BETWEEN = {"jawOpen": 0.15, "tongueOut": 0.22, "mouthLowerDown": 0.26, "mouthUpperUp": 0.14}
_BACK = {"jawOpen": 0.16, "mouthLowerDown": 0.16, "mouthUpperUp": 0.06}
_R = {"jawOpen": 0.12, "mouthFunnel": 0.30, "mouthPucker": 0.18, "mouthLowerDown": 0.12}
_REST: dict[str, float] = {}

# phones -> (shape, dominance of the whole shape). Closures and lip contacts must be reached, the rest gives way.
_PHONES: dict[str, tuple[dict[str, float], float]] = {}
for _symbols, _shape_of, _dominance in (
    ("pbm", _SHUT, 6.0), ("fv", _TEETH_ON_LIP, 3.5), ("w", _ROUND_U, 2.4), ("ɹr", _R, 1.1),
    ("sz", _TEETH_TOGETHER, 1.6), ("ʃʒʧʤ", _HUSH, 2.0), ("tdnlɾ", _TONGUE_TIP, 0.8), ("θð", _TONGUE_BETWEEN, 1.5),
    ("kɡŋ", _BACK, 0.7), ("h", _MID, 0.3), ("jiɪ", _OPEN_I, 1.2), ("ɛeæ", _OPEN_E, 1.3), ("ɑa", _OPEN_A, 1.5),
    ("əɐʌɜɚ", _MID, 1.0), ("ɔɒo", _ROUND_O, 1.4), ("uʊ", _ROUND_U, 1.7),
):
    for _symbol in _symbols:
        _PHONES[_symbol] = (_shape_of, _dominance)
_PHONES["æ"] = ({**_OPEN_E, "jawOpen": 0.54}, 1.4)
_PHONES["ʊ"] = ({**_ROUND_U, "mouthPucker": 0.42}, 1.3)
_DIPHTHONGS = {"A": "ɛɪ", "I": "ɑɪ", "O": "ɔʊ", "W": "ɑʊ", "Y": "ɔɪ"}
_SILENCE_DOMINANCE = 1.6
_RISE, _FALL = 0.050, 0.060  # time constants of dominance before and after a phone [s]
_CLOSED = frozenset("pbm")


def _shape(weights: dict[str, float]) -> np.ndarray:
    """[52] weights of a mouth shape, sides filled in."""
    out = np.zeros(len(ARKIT_NAMES))
    for name, value in weights.items():
        for full in ([name] if name in ARKIT_NAMES else [f"{name}Left", f"{name}Right"]):
            out[index(full)] = value
    return out


def targets(phones) -> list[tuple[np.ndarray, float, float, float, bool]]:
    """(shape [52], dominance, start, end, lips closed) for (phone, start, end) triples; diphthongs become two.

    Raises:
        ValueError: a phone outside the alphabet.
    """
    out = []
    for phone, start, end in phones:
        pieces = _DIPHTHONGS.get(phone, phone)
        if not phone:
            out.append((_shape(_REST), _SILENCE_DOMINANCE, start, end, False))
            continue
        split = np.interp(np.arange(len(pieces) + 1), [0, len(pieces)], [start, end])
        if len(pieces) == 2:
            split[1] = start + 0.6 * (end - start)  # the first vowel of a diphthong is the longer one
        for symbol, a, b in zip(pieces, split[:-1], split[1:]):
            if symbol not in _PHONES:
                raise ValueError(f"phones: {symbol!r} is no phone of the alphabet")
            weights, dominance = _PHONES[symbol]
            out.append((_shape(weights), dominance, a, b, symbol in _CLOSED))
    return out


def mouth_curves(phones, times: np.ndarray) -> np.ndarray:
    """[T,52] ARKit weights of the mouth at `times` [T] [s]; other actions stay 0.

    Args:
        phones: (phone, start, end) triples in order [s], "" for silence.
    """
    pieces = targets(phones)
    shapes = np.stack([p[0] for p in pieces])
    dominance = np.array([p[1] for p in pieces])
    start, end = (np.array([p[k] for p in pieces]) for k in (2, 3))
    t = np.asarray(times, float)[:, None]
    # Inside a phone dominance is full; outside it falls off. Long phones hold their shape, short ones are a touch.
    before, after = np.clip(start - t, 0, None), np.clip(t - end, 0, None)
    pull = dominance * np.exp(-before / _RISE - after / _FALL)
    curves = pull @ shapes / pull.sum(1, keepdims=True)
    # Lips that must meet do meet: around the middle of p, b, m what opens them is taken away.
    closure = np.zeros(len(t))
    for _, _, a, b, closed in pieces:
        if closed:
            hold = max(0.25 * (b - a), 0.018)
            distance = np.clip(np.abs(t[:, 0] - (a + b) / 2) - hold, 0, None)
            closure = np.maximum(closure, np.exp(-((distance / 0.028) ** 2)))
    openers = [i for i, name in enumerate(ARKIT_NAMES)
               if name.startswith(("mouthLowerDown", "mouthUpperUp", "mouthFunnel", "tongueOut"))]
    curves[:, openers] *= 1 - closure[:, None]
    jaw = index("jawOpen")
    curves[:, jaw] *= 1 - 0.85 * closure
    # What is left of the jaw's opening is closed by the lips themselves.
    curves[:, index("mouthClose")] = closure * curves[:, jaw]
    return curves
