"""Use without avatars: speech to motion and motion files in the base package alone."""
from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from geneface import extras
from geneface.errors import UserError
from geneface.formats import FORMATS
from geneface.media import read_audio, write_wav
from geneface.types import MotionSequence

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("mediapipe", "cv2", "dlib", "librosa", "numba", "jax", "tensorboard", "trimesh", "matplotlib", "soxr",
         "threadpoolctl", "pxr", "pocketsphinx", "pygltflib", "onnxruntime", "ray", "google")
# Runs the command line where none of these can be imported, and says on the last line what was imported all the same.
BARE = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
import geneface
from geneface.cli.main import run

status = [run(words.split("|")) for words in sys.argv[1:]]
print()
print(*status, *sorted(sys.modules))
"""


class Bare(NamedTuple):
    """What came of command lines: statuses, modules imported, lines on standard output and on standard error."""

    status: list[int]
    modules: set[str]
    out: list[str]
    said: list[str]


def bare(*lines: tuple, cwd: Path) -> Bare:
    """Command lines in one process, without the heavy packages."""
    words = ["|".join(map(str, line)) for line in lines]
    done = subprocess.run([sys.executable, "-c", BARE, *words], cwd=cwd, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    *out, last = done.stdout.splitlines()
    words = last.split()
    return Bare([int(word) for word in words[:len(lines)]], set(words[len(lines):]), out, done.stderr.splitlines())


@pytest.fixture(scope="module")
def spoken(tmp_path_factory) -> tuple[Path, set[str]]:
    """A folder with the motion of 1.5 s of speech, and files made of it; and the modules that this took."""
    folder = tmp_path_factory.mktemp("light")
    write_wav(folder / "a.wav", read_audio(ROOT / "geneface/data/demo_speech_driving.opus")[8000:32000])
    done = bare(("speak", "--audio", "a.wav", "-o", "m.npz"), cwd=folder)
    assert done.status == [0], done.said
    motion = MotionSequence.load(folder / "m.npz")
    few = {name: getattr(motion, name)[:8] for name in ("landmarks", "expression", "blink", "gaze")}
    replace(motion, **few, words=((0, 0.15, "when"), (0.15, 0.3, "the"))).save(folder / "said.npz")
    return folder, done.modules


def test_speech_becomes_motion_without_the_extra(spoken):
    folder, modules = spoken
    motion = MotionSequence.load(folder / "m.npz")
    assert (len(motion), motion.fps) == (38, 25.0) and np.ptp(motion.expression, axis=0).max() > 0.05
    assert not {name.partition(".")[0] for name in modules} & set(HEAVY)


def test_speech_does_not_wait_for_what_it_does_not_use(spoken):
    _, modules = spoken
    slow = {"torch._dynamo", "torch._inductor", "sympy", "scipy.stats", "scipy.signal", "scipy.optimize"}
    assert not modules & slow


def test_motion_files_are_written_and_read_without_the_extra(spoken):
    """Every format; what wants an extra of its own names it."""
    folder, _ = spoken
    formats = [format for format in FORMATS if format.writes]
    files = [f"out_{format.name}{format.endings[0] if format.endings else ''}" for format in formats]
    done = bare(*[("export", "said.npz", "-o", file, "--format", format.name, "--fps", "30")
                  for file, format in zip(files, formats)], ("export", "said.npz", "-o", "x.usdc"), cwd=folder)
    assert done.status == [0] * len(formats) + [2], done.said
    assert "needs geneface[usd]" in done.said[-1] and not (folder / "x.usdc").exists()
    assert all((folder / file).exists() for file in files)
    readable = {file: format for file, format in zip(files, formats) if format.reads}
    done = bare(*[("motion", "info", file) for file in readable], cwd=folder)
    assert done.status == [2 if format.name == "usd" else 0 for format in readable.values()], done.said


def test_help_and_mistakes_need_neither_torch_nor_numpy(tmp_path):
    done = bare(("--help",), ("speak", "--help"), ("motion", "--help"), ("speak", "-o", "m.npz"), cwd=tmp_path)
    assert done.status == [0, 0, 0, 2]
    assert not done.modules & {"torch", "numpy", "scipy", "av", "yaml"}


AVATAR_VERBS = [
    ("demo",), ("prepare", "a.mp4", "-o", "p"), ("prepare", "a.mp4", "--check"), ("fit", "p", "-o", "x.avatar"),
    ("render", "x.avatar", "--audio", "a.wav", "-o", "x.mp4"), ("evaluate", "x.avatar", "--person", "p"),
    ("evaluate", "x.avatar", "y.avatar", "--person", "p"), ("export", "x.avatar", "--mesh", "x.obj"),
    ("prepare-corpus", "clips", "-o", "c"), ("evaluate-motion", "--corpus", "c"),
    ("train-motion", "c", "-o", "m.safetensors"), ("train-motion", "c", "-o", "m.safetensors", "--part", "sync"),
    ("motion", "track", "a.mp4", "-o", "m.npz"), ("render", "x.avatar", "--video", "a.mp4", "-o", "x.mp4"),
]


def test_verbs_of_the_extra_name_it_in_one_line(tmp_path):
    done = bare(*AVATAR_VERBS, cwd=tmp_path)
    assert done.status == [2] * len(AVATAR_VERBS)
    names = [" ".join(verb[:2]) if verb[0] == "motion" else verb[0] for verb in AVATAR_VERBS]
    mend = "this needs geneface[avatar], which is not installed; pip install 'geneface[avatar]'"
    assert done.said == [f"geneface {name}: {mend}" for name in names]
    assert list(tmp_path.iterdir()) == []


def test_doctor_and_assets_know_base_from_avatar(tmp_path):
    found, listed = (json.loads(line) for line in
                     bare(("doctor", "--json"), ("assets", "--json"), cwd=tmp_path).out[:2])
    assert found["ok"] and found["optional"] == dict.fromkeys(found["optional"])
    mends = [problem["mend"] for problem in found["problems"]]
    assert "pip install 'geneface[avatar]'" in mends
    assert {row["name"] for row in listed["assets"] if row["extra"] is None} == {"whisper-base", "silero-vad", "three"}


def test_a_part_of_an_extra_is_named(monkeypatch):
    @extras.needs("words")
    def align(text: str) -> str:
        """Align."""
        raise ModuleNotFoundError(f"broken {text}")

    some = extras.Extra("words", "words", ("json", "no_such_package"))
    monkeypatch.setitem(extras.EXTRAS, "words", some)
    with pytest.raises(UserError, match=r"this needs geneface\[words\], of which no_such_package is not installed; pip"):
        align("x")
    assert align.__doc__ == "Align."
    monkeypatch.setitem(extras.EXTRAS, "words", extras.Extra("words", "words", ("json",)))
    with pytest.raises(ModuleNotFoundError, match="broken x"):  # what fails inside is not taken for a missing extra
        align("x")


# Where a module's name is not its distribution's.
DISTRIBUTIONS = {"PIL": "pillow", "yaml": "pyyaml", "jinja2": "jinja2", "cv2": "opencv-contrib-python",
                 "dlib": "dlib-bin", "pxr": "usd-core"}
UNDECLARED = {"tinycudann"}  # used where somebody has built it; no registry has it
# Rooms of the avatar extra; everything else of geneface must do with the base package at import.
ROOMS = ("frame", "metrics", "fit", "export", "nerf")


def requirement_names(*files: str) -> set[str]:
    lines = "\n".join((ROOT / file).read_text("utf-8") for file in files).splitlines()
    return {re.match(r"[\w.-]+", line)[0].lower() for line in lines if line and line[0] != "#"}


def imports(file: Path, whole: bool) -> set[str]:
    """Names of the distributions, other than Python's own and ours, that a file imports: anywhere, or at its import."""
    tree = ast.parse(file.read_text("utf-8"))
    nodes = list(ast.walk(tree)) if whole else tree.body
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    tops = {name.partition(".")[0] for name in names} - {*sys.stdlib_module_names, *UNDECLARED, "geneface", "data_prep"}
    return {DISTRIBUTIONS.get(top, top).lower() for top in tops}


@pytest.mark.skipif(not (ROOT / "setup.py").is_file(), reason="runs from the source tree only")
def test_what_the_code_imports_is_declared():
    base, avatar = requirement_names("requirements.txt"), requirement_names("requirements-avatar.txt")
    assert not base & avatar
    setup = ast.parse((ROOT / "setup.py").read_text("utf-8"))
    table = next(node.value for node in setup.body if isinstance(node, ast.Assign) and node.targets[0].id == "EXTRAS")
    declared = {key.value: [item.value for item in value.elts] if isinstance(value, ast.List) else sorted(avatar)
                for key, value in zip(table.keys, table.values)}
    for extra in extras.EXTRAS.values():
        wanted = {DISTRIBUTIONS.get(module, module) for module in extra.modules}
        assert wanted <= {re.match(r"[\w.-]+", text)[0].lower() for text in declared[extra.name]}, extra.name
    known = base | {re.match(r"[\w.-]+", text)[0].lower() for texts in declared.values() for text in texts}
    for file in [*(ROOT / "geneface").rglob("*.py"), *(ROOT / "data_prep").rglob("*.py")]:
        room = file.relative_to(ROOT).parts
        assert imports(file, whole=True) <= known, file
        if room[0] == "geneface" and room[1] not in ROOMS:
            assert imports(file, whole=False) <= base, file
