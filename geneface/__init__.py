"""GeneFace: a personal talking portrait from a few minutes of video.

    import geneface

    person = geneface.prepare("talk.mp4", "person", consent="me, for my own use")
    avatar = geneface.fit(person, "me.avatar", preset="preview")
    motion = geneface.speak(avatar, "speech.wav")
    geneface.render(avatar, motion, "out.mp4", audio="speech.wav")

The functions are those of `geneface.pipeline`. Nothing heavy is imported until one is used.
"""
from __future__ import annotations

import importlib
import os
import sys
import warnings
from types import ModuleType
from typing import Any

# torch's OpenMP threads would spin between operations and keep our kernels' threads from the cores:
# a fit step on two cores took 750 ms so, and 68 ms with threads that sleep. Read when torch loads.
if "torch" in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
    warnings.warn(
        "torch was imported before geneface, so its threads will not sleep and fits and frames on the CPU take several "
        "times as long; import geneface first, or set OMP_WAIT_POLICY=PASSIVE",
        RuntimeWarning, stacklevel=2,
    )
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_VERBS = ("prepare", "fit", "speak", "render", "track", "export", "evaluate", "compare", "prepare_corpus", "evaluate_motion",
          "train_motion", "demo")
_TYPES = ("Avatar", "CameraTrack", "FaceTrack", "MotionSequence", "PreparedPerson", "SpeechFeatures")
# Verbs that are also the name of a room of the package (`geneface.fit.losses`).
_ROOMS = ("fit", "render", "export", "demo")

__all__ = [*_VERBS, *_TYPES, "UserError", "__version__"]


class _CallableRoom(ModuleType):
    """A room that is called as the verb of the same name."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from . import pipeline

        return getattr(pipeline, self.__name__.rpartition(".")[2])(*args, **kwargs)


class _Package(ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        # The import system puts every imported submodule here; these are verbs as well.
        if name in _ROOMS and type(value) is ModuleType:
            value.__class__ = _CallableRoom
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f".{name}", __name__)
    if name in _VERBS:
        return getattr(importlib.import_module(".pipeline", __name__), name)
    if name in _TYPES:
        return getattr(importlib.import_module(".types", __name__), name)
    if name == "UserError":
        return importlib.import_module(".errors", __name__).UserError
    if name == "__version__":
        return importlib.import_module(".version", __name__).version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
