"""Edits in words: the command line's order, histories, mistakes."""
from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from geneface.cli.main import run
from geneface.errors import UserError
from geneface.formats import read_motion
from geneface.motion import edits
from geneface.motion.emotions import EMOTIONS, REGIONS

from .test_edit_functions import same, talk


@pytest.fixture()
def files(tmp_path):
    talk().save(tmp_path / "a.npz")
    edits.resample(talk(100, posed=False), 30).save(tmp_path / "b.npz")
    return tmp_path


def test_edits_are_made_in_the_order_given(files, capsys):
    a, out = str(files / "a.npz"), str(files / "out.npz")
    words = ["--smooth", "0.1", "--mouth=1.5", "--cut", "1,5", "--mirror", "--mouth", "0.8", "--cut", "0,2"]
    assert run(["motion", "edit", a, *words, "-o", out, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    expected = ["smooth 0.1", "mouth 1.5", "cut 1,5", "mirror", "mouth 0.8", "cut 0,2"]
    assert result["history"] == expected and result["frames"] == 50 and result["output"] == out
    by_hand = edits.cut(edits.mouth(edits.smooth(talk(), 0.1), 1.5), 1, 5)
    by_hand = edits.cut(edits.mouth(edits.mirror(by_hand), 0.8), 0, 2)
    assert same(read_motion(out), by_hand)
    swapped = edits.apply(talk(), "mouth 1.5", "smooth 0.1", "cut 1,5", "mirror", "mouth 0.8", "cut 0,2")
    assert not same(swapped, by_hand, 1e-3)


def test_every_edit_is_replayed_from_its_history(files, capsys):
    lines = ["mouth 1.2", "expression 1.1", "emotion sad:0.5:brows,eyes", "emotion happy:1", "smooth 0.05", "head 0.5",
             "blink 0.8", "blink-rate 20:0.9", "blink-at 1,2.5", f"blink-like {files / 'b.npz'}", "gaze 5,-3:0.5",
             "gaze-at 0.1,0,0", f"style {files / 'b.npz'}:0.5", "mirror", "stretch 1.5", "cut 1,9",
             f"join {files / 'b.npz'}:0.2", "loop 2x:0.1", "resample 29.97"]
    assert {line.split()[0] for line in lines} == set(edits.EDITS) - {"replay"}
    once = edits.apply(talk(), *lines)
    assert list(once.history) == lines
    assert same(edits.replay(talk(), once.history), once)
    once.after("speak talk.wav").save(files / "recipe.npz")  # says where it came from: nothing to replay
    options = ["--replay", str(files / "recipe.npz"), "--json"]
    assert run(["motion", "edit", str(files / "a.npz"), "-o", str(files / "out.npz"), *options]) == 0
    assert json.loads(capsys.readouterr().out)["history"] == lines
    assert same(read_motion(files / "out.npz"), once)


def test_join_on_the_command_line(files, capsys):
    a, b = str(files / "a.npz"), str(files / "b.npz")
    assert run(["motion", "join", a, b, a, "-o", str(files / "c.npz"), "--crossfade", "0.2", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["history"] == [f"join {b}:0.2", f"join {a}:0.2"] and result["frames"] == 250 + 100 + 250 - 10
    made = edits.join(edits.join(talk(), read_motion(b), 0.2), talk(), 0.2)
    assert same(read_motion(files / "c.npz"), made)


@pytest.mark.parametrize("words, message", [
    ([], "nothing to change; give an edit"),
    (["--mouth", "wide"], "mouth: 'wide' is no number"),
    (["--mouth", "nan"], "mouth: 'nan' is no number"),
    (["--mouth", "9"], "mouth: must lie from 0 to 4, got 9"),
    (["--mouht", "1"], "did you mean --mouth"),
    (["--emotion", "hapy"], "no preset 'hapy'; did you mean happy?"),
    (["--emotion", "happy:x"], "'x' is no number"),
    (["--emotion", "happy:0.5:nose"], "no region 'nose'"),
    (["--emotion", "happy:1:eyes:now"], "too many colons"),
    (["--gaze", "5"], "must be YAW,PITCH"),
    (["--gaze-at", "0,0"], "must be x,y,z"),
    (["--cut", "3"], "must be FROM,TO"),
    (["--cut", "30,40"], "leaves no frame"),
    (["--cut", "5,2"], "to a later time"),
    (["--loop", "2.5x"], "a whole number of turns"),
    (["--loop", "1e12"], "must lie|would make"),
    (["--join", "none.npz"], "no such file"),
    (["--style", "talk.wav"], "is no motion file, prepared person or avatar"),
    (["--resample", "-25"], "fps: must be more than 0"),
    (["--stretch", "inf"], "is no number"),
    (["--mirror", "--crossfade", "1"], "no such option --crossfade"),
])
def test_mistakes_are_one_line(files, capsys, words, message):
    out = files / "out.npz"
    assert run(["motion", "edit", str(files / "a.npz"), "-o", str(out), *words]) == 2
    line = capsys.readouterr().err.strip()
    assert re.search(re.escape(message).replace(r"\|", "|"), line) and "\n" not in line, line
    assert not out.exists()


def test_the_input_is_never_written_over(files, capsys):
    a = str(files / "a.npz")
    assert run(["motion", "edit", a, "-o", a, "--mirror"]) == 2
    assert "write to another file" in capsys.readouterr().err
    assert read_motion(a).history == ()


def test_words_that_are_no_edit():
    for line, message in (("muoth 1", "did you mean mouth"), ("mirror 1", "takes no value"), ("mouth", "takes GAIN")):
        with pytest.raises(UserError, match=message):
            edits.apply(talk(5), line)
    told = edits.EDITS["emotion"].help
    assert all(name in told for name in (*EMOTIONS, *REGIONS))


def test_the_command_line_starts_without_numpy():
    code = "import sys, geneface.cli.main; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_neutral_edits_write_the_motion_as_it_was(files):
    words = ["--mouth", "1", "--smooth", "0", "--emotion", "sad:0", "--head", "1", "--blink", "1", "--stretch", "1"]
    assert run(["motion", "edit", str(files / "a.npz"), "-o", str(files / "out.npz"), *words]) == 0
    after = read_motion(files / "out.npz")
    assert same(after, talk()) and after.history == () and np.isfinite(after.landmarks).all()


def test_speech_is_edited_as_it_is_made(tmp_path):
    import soundfile

    from geneface import pipeline
    from geneface.speech.features import load_encoder

    time = np.arange(16000) / 16000
    soundfile.write(tmp_path / "hum.wav", 0.1 * np.sin(2 * np.pi * 200 * time) * np.sin(2 * np.pi * 3 * time), 16000)
    with pytest.raises(UserError, match="did you mean mouth"):  # before any work
        pipeline.speak(None, tmp_path / "none.wav", edits=["muoth 2"])
    try:
        load_encoder()
    except UserError as error:
        pytest.skip(f"the speech encoder cannot be had here: {error}")
    plain = pipeline.speak(None, tmp_path / "hum.wav")
    edited = pipeline.speak(None, tmp_path / "hum.wav", edits=["emotion sad:0.5", "cut 0,0.4"])
    assert edited.history == (*plain.history, "emotion sad:0.5", "cut 0,0.4")
    assert same(edited, edits.apply(plain, "emotion sad:0.5", "cut 0,0.4"))
