"""Optional parts of the installation, `pip install 'geneface[NAME]'`: what each is for, and whether it is here."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from importlib.util import find_spec
from typing import TypeVar

from .errors import UserError

AVATAR = "avatar"

Function = TypeVar("Function", bound=Callable)


@dataclass(frozen=True)
class Extra:
    """An optional part.

    Attributes:
        name: as pip takes it.
        purpose: what it adds.
        modules: that it brings and our code imports; all are there where it is installed.
    """

    name: str
    purpose: str
    modules: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Those of its modules that are not installed. One that is there and fails to import is not among them."""
        return tuple(module for module in self.modules if not installed(module))

    @property
    def mend(self) -> str:
        """The command that installs it."""
        return f"pip install 'geneface[{self.name}]'"


EXTRAS: dict[str, Extra] = {
    extra.name: extra
    for extra in (
        Extra(AVATAR, "preparing, fitting, rendering and evaluating avatars; training motion models",
              ("cv2", "matplotlib", "mediapipe", "soxr", "tensorboard", "threadpoolctl", "trimesh")),
        Extra("usd", "reading USD files, and writing binary ones (.usdc, .usdz)", ("pxr",)),
        Extra("words", "word times from a transcript", ("pocketsphinx",)),
        Extra("voices", "neural voices for a corpus nobody recorded", ("onnxruntime",)),
        Extra("cluster", "preparing a corpus on several machines", ("ray",)),
    )
}


def need(name: str, what: str = "this") -> None:
    """Raise UserError, with the mend, unless the extra is installed.

    Args:
        what: that needs it, as the sentence begins ("--transcript").
    """
    extra = EXTRAS[name]
    missing = extra.missing
    if missing:
        which = "which" if missing == extra.modules else f"of which {', '.join(missing)}"
        raise UserError(f"{what} needs geneface[{name}], {which} is not installed; {extra.mend}")


def needs(name: str) -> Callable[[Function], Function]:
    """A decorator: the function first asks whether the extra is installed, and raises UserError where it is not."""
    def decorate(function: Function) -> Function:
        @wraps(function)
        def asking(*args, **kwargs):
            need(name)
            return function(*args, **kwargs)

        return asking
    return decorate


def installed(module: str) -> bool:
    """Whether there is such a module to import."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # somebody's import hook forbids it; in sys.modules without a spec
        return False
