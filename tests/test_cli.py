"""The command line: one line and the right status for every mistake, one JSON object for every result."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from geneface import pipeline
from geneface.cli import main
from geneface.cli.main import run
from geneface.errors import UserError
from geneface.types import MotionSequence

ROOT = Path(__file__).resolve().parents[1]


def complaint(capsys, *words: str) -> str:
    """The one line on standard error of a call that must end with status 2."""
    assert run([str(word) for word in words]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.strip().splitlines()
    assert len(lines) == 1, shown.err
    return lines[0]


def motion(frames: int = 5) -> MotionSequence:
    return MotionSequence(
        np.zeros((frames, 68, 3), np.float32),
        np.zeros((frames, 52), np.float32),
        np.zeros(frames, np.float32),
        np.zeros((frames, 2), np.float32),
        25.0,
        "test",
    )


@pytest.mark.parametrize(
    "words, message",
    [
        (["fitt"], "geneface: no verb 'fitt'; did you mean fit?; see geneface --help"),
        (["xyzzy"], "geneface: no verb 'xyzzy'; there are: demo, prepare"),
        (["fit", "p", "--presett", "x"], "geneface fit: no such option --presett; did you mean --preset?"),
        (["fit", "p", "-o", "x.avatar", "--preset", "prevew"], "geneface fit: --preset prevew: no such preset; "),
        (["fit", "p", "-o", "x.avatar", "--set", "minuts=1"], "unknown key 'minuts'; did you mean 'minutes'?"),
        (["fit", "p", "-o", "x.avatar", "--minutes", "soon"], "invalid value for '--minutes'"),
        (["fit", "p", "-o", "x.avatar", "--minutes", "0"], "--minutes 0: must be more than 0"),
        (["fit", "p", "-o", "x.txt"], "x.txt: the output is written as .avatar; give it such a name"),
        (
            ["fit", "nobody", "-o", "x.avatar"],
            "nobody: not a prepared person (no manifest.json); run geneface prepare VIDEO -o nobody",
        ),
        (["fit"], "geneface fit: missing argument 'PERSON_DIR'; see geneface fit --help"),
        (["prepare", "a.mp4"], "geneface prepare: missing option '--output'"),
        (["prepare", "a.mp4", "-o"], "option '-o' requires an argument"),
        (["render", "x.avatar", "-o", "x.mp4"], "nothing to say; give --audio FILE, --motion M.npz or --video"),
        (["render", "x.avatar", "-o", "x.mp4", "--audio", "a.wav", "--transfer", "both"], "of whom? give --video"),
        (["motion", "track", "v.mp4", "-o", "m.txt"], "no motion file by its name"),
        (
            ["render", "x.avatar", "-o", "x.mp4", "--audio", "a.wav"],
            "x.avatar: no such avatar; fit one with geneface fit",
        ),
        (["render", "x.avatar", "-o", "x.gif", "--audio", "a.wav"], "the output is written as .mp4"),
        (["speak", "-o", "x.npz"], "nothing to say; give --audio FILE"),
        (["speak", "-o", "x.npz", "--audio", "nothing.wav"], "nothing.wav: no such file"),
        (["evaluate", "x.avatar", "--person", "p"], "x.avatar: no such avatar"),
        (["evaluate-motion"], "give either --corpus DIR or --person PERSON_DIR"),
        (["evaluate-motion", "--corpus", "nowhere"], "nowhere: no such folder"),
        (["prepare-corpus", "nowhere", "-o", "c"], "nowhere: no such folder"),
        (["train-motion", "nowhere", "-o", "m.safetensors"], "nowhere: no such folder"),
        (["train-motion", "c", "-o", "m.safetensors", "--part", "ears"], "--part ears: is none of generator, sync"),
        (["train-motion", "c", "-o", "m.safetensors", "--part", "sync", "--set", "batch=8"], "leave out --config"),
        (["train-motion", "c", "d", "-o", "m.safetensors", "--split", "s.txt"], "split and work are for one folder"),
        (["assets", "fetsh"], "'fetsh' is not one of 'list', 'fetch', 'verify'"),
        (["assets", "fetch", "whisper"], "no asset named 'whisper'; did you mean 'whisper-base'?"),
        (["doctor", "now"], "unexpected extra argument"),
    ],
)
def test_mistakes(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in complaint(capsys, *words)
    assert list(tmp_path.iterdir()) == []


def test_prepare_says_when_no_consent_is_recorded(capsys, tmp_path, monkeypatch):
    """Of the person, whichever run recorded it; not of a file that is not there."""
    from types import SimpleNamespace

    monkeypatch.chdir(tmp_path)
    assert complaint(capsys, "prepare", "no.mp4", "-o", "p").startswith("geneface prepare: no.mp4: no such file")
    for granted in (False, True):
        person = SimpleNamespace(manifest={"consent": {"granted": granted}, "result": {}})
        monkeypatch.setattr("geneface.pipeline.prepare", lambda *_, person=person: person)
        assert run(["prepare", "a.mp4", "-o", "p"]) == 0
        assert ("No consent is recorded" in capsys.readouterr().err) != granted


def test_silent_audio(capsys, tmp_path):
    from geneface.media import write_wav

    write_wav(tmp_path / "quiet.wav", np.zeros(16000, np.float32))
    assert "the sound is silent; give a recording with speech" in complaint(
        capsys, "speak", "--audio", tmp_path / "quiet.wav", "-o", tmp_path / "m.npz"
    )
    assert not (tmp_path / "m.npz").exists()


def test_verbs_and_version(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("geneface ")
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    for verb in (
        "demo",
        "doctor",
        "assets",
        "bench",
        "prepare",
        "fit",
        "speak",
        "render",
        "evaluate",
        "prepare-corpus",
        "evaluate-motion",
        "train-motion",
    ):
        assert f" {verb} " in shown
    assert run([]) == 2


@pytest.mark.parametrize("verb, units", [("render", "in px. Default"), ("export", "in mm"), ("prepare", "in px. Default")])
def test_help_says_units(capsys, monkeypatch, verb, units):
    """Square brackets would be taken for markup, and left out."""
    monkeypatch.setenv("COLUMNS", "200")
    assert run([verb, "--help"]) == 0
    assert units in capsys.readouterr().out


def test_json_is_the_last_line_and_has_every_key(capsys, monkeypatch, tmp_path):
    def speak(avatar, audio, out, config, stream, transcript, words, edits):
        print("a library that talks")
        return motion(50)

    monkeypatch.setattr(pipeline, "speak", speak)
    assert run(["speak", "--audio", "a.wav", "-o", str(tmp_path / "m.npz"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(result) == ["frames", "fps", "seconds", "real_time_factor", "motion", "words"]
    assert (result["frames"], result["fps"], result["seconds"]) == (50, 25.0, 2.0)


def test_figures_that_cannot_be_measured_are_null(capsys, monkeypatch):
    monkeypatch.setattr(pipeline, "evaluate", lambda *_: {"tracked": {"csim": float("nan"), "seam": np.float32(2)}})
    assert run(["evaluate", "x.avatar", "--person", "p", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "tracked": {"csim": None, "seam": 2.0},
        "aligned": None,
        "predicted": None,
        "report": None,
    }


def test_several_avatars_are_compared(capsys, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("geneface.metrics.evaluate.compare", lambda *given: asked.append(given) or {"avatars": {}})
    monkeypatch.setattr("geneface.pipeline.portrait.as_avatar", lambda path: f"loaded {path}")
    monkeypatch.setattr("geneface.pipeline.portrait.as_person", lambda path: f"opened {path}")
    monkeypatch.chdir(tmp_path)
    assert run(["evaluate", "a/x.avatar", "b/x.avatar", "y.avatar", "--person", "p", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"avatars": {}, "report": None}
    avatars, person, folder = asked[0][:3]
    assert avatars == {name: f"loaded {file}" for name, file in
                       (("a/x.avatar", "a/x.avatar"), ("b/x.avatar", "b/x.avatar"), ("y", "y.avatar"))}
    assert person == "opened p" and folder == Path("a/comparison")
    assert "y.avatar: given twice" in complaint(capsys, "evaluate", "y.avatar", "y.avatar", "--person", "p")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_says_how_to_go_on(capsys, monkeypatch, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "fit", stop)
    monkeypatch.setattr(pipeline, "evaluate", stop)
    assert run(["fit", "p", "-o", "x.avatar"]) == 130
    assert (
        capsys.readouterr().err.strip()
        == "geneface fit: stopped; run the same command with --resume to go on from the checkpoint"
    )
    assert run(["evaluate", "x.avatar", "--person", "p"]) == 130
    assert capsys.readouterr().err.strip() == "geneface evaluate: stopped; no output was written"


@pytest.mark.parametrize(
    "error, status, message",
    [
        (UserError("two\nlines"), 2, "geneface fit: two lines"),
        (OSError(28, "No space left on device", "x.avatar"), 2, "x.avatar: No space left on device; free some space"),
        (
            PermissionError(13, "Permission denied", "x.avatar"),
            2,
            "x.avatar: Permission denied; choose a place you may write to",
        ),
        (MemoryError(), 2, "out of memory"),
    ],
)
def test_errors_of_the_machine(error, status, message, capsys, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr(pipeline, "fit", fail)
    assert run(["fit", "p", "-o", "x.avatar"]) == status
    shown = capsys.readouterr().err
    assert message in shown and "Traceback" not in shown and len(shown.strip().splitlines()) == 1


def test_a_defect_is_called_one(capsys, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(pipeline, "fit", fail)
    assert run(["fit", "p", "-o", "x.avatar"]) == 1
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert (
        shown.strip()
        .splitlines()[-1]
        .startswith("geneface fit: a defect of geneface, not of your input: ZeroDivisionError: oh")
    )


def test_main_ends_with_the_status():
    with pytest.raises(SystemExit) as end:
        main(["fitt"])
    assert end.value.code == 2


def test_outputs_are_checked_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "x.avatar").mkdir()
    for path, message in (
        (tmp_path / "file" / "x.avatar", "is a file, not a folder"),
        (tmp_path / "x.avatar", "is a folder"),
        (tmp_path / "x", "written as .avatar"),
    ):
        with pytest.raises(UserError, match=message):
            pipeline.check_output(path, ".avatar")
    pipeline.check_output(tmp_path / "new" / "deep" / "y.AVATAR", ".avatar")


def test_importing_the_package_brings_nothing_heavy():
    program = (
        "import sys, geneface, geneface.cli; "
        "print([m for m in ('torch', 'mediapipe', 'cv2', 'scipy', 'av', 'jax') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert shown.stdout.strip() == "[]"


def test_importing_the_package_takes_little_time():
    program = "import time; began = time.perf_counter(); import geneface; print(time.perf_counter() - began)"

    def seconds() -> float:
        return float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT).stdout)

    # The best of a few: the machine may be busy, and the first may have to compile.
    assert any(seconds() < 2 for _ in range(4))


def test_rooms_that_are_verbs(monkeypatch):
    """`geneface.fit` and `geneface.render` are called, and hold their modules, in whatever order they are imported."""
    monkeypatch.setattr(pipeline, "fit", lambda *a, **k: ("fit", a, k))
    monkeypatch.setattr(pipeline, "render", lambda *a: ("render", a))
    import geneface.fit.losses

    assert geneface.fit("p", resume=True) == ("fit", ("p",), {"resume": True})
    assert geneface.fit.losses.__name__ == "geneface.fit.losses"
    assert geneface.render("x") == ("render", ("x",))
    assert callable(geneface.render.render)
    assert geneface.Avatar.__module__.startswith("geneface.types") and geneface.UserError is UserError
    assert geneface.prepare is pipeline.prepare
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        geneface.nothing


def test_diagnostics_of_native_libraries_are_kept_away():
    program = """
import os, sys
from geneface.cli.quiet import quiet_native_libraries
with quiet_native_libraries():
    os.write(2, b"I0000 00:00:1795240503.618578   18706 task_runner.cc:85] noise\\nreal trouble\\n")
    print("from Python", file=sys.stderr)
os.write(2, b"I0000 00:00:1.5 after\\n")
"""
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True).stderr
    assert "noise" not in shown
    assert sorted(shown.splitlines()) == ["I0000 00:00:1.5 after", "from Python", "real trouble"]


def test_a_warning_is_one_line_without_source():
    """As where the kernels are not built, which the light package invites."""
    from geneface.cli.main import _one_line

    assert _one_line(RuntimeWarning("slow\n  kernels"), RuntimeWarning, "/a/b.py", 3) == "warning: slow kernels\n"


def test_a_recording_in_the_avatars_place_is_told_where_it_belongs(tmp_path, capsys):
    from geneface.cli.main import run

    assert run(["speak", "talk.wav", "-o", str(tmp_path / "m.npz")]) == 2
    assert "--audio talk.wav" in capsys.readouterr().err
