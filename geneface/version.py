"""The version of the package that is running."""
from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as _installed

UNKNOWN = "0+source"


def version() -> str:
    """Version of the installed package; "0+source" where it runs from a source tree that is not installed."""
    try:
        return _installed("geneface")
    except PackageNotFoundError:
        return UNKNOWN
