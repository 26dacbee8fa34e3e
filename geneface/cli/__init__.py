"""The command line: `geneface VERB`."""

from .main import main

__all__ = ["main"]
