"""Readers of corpora: which files are clips, who speaks, what is said and when."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_prep.corpora import transcripts
from data_prep.corpora.layouts import find_sources
from data_prep.corpora.transcripts import Transcript
from geneface.errors import UserError


def build(folder: Path, *names: str) -> Path:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    return folder


def speakers(folder: Path, **options: str) -> dict[str, str]:
    return {source.name: source.speaker for source in find_sources(folder, **options)}


def test_finding_files(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        find_sources(tmp_path / "none")
    with pytest.raises(UserError, match="no video clip"):
        find_sources(tmp_path)
    build(tmp_path, "b/2.mp4", "1.MOV", "notes.txt", ".hidden/3.mp4", "b/2.avi", "v1.2.mp4")
    (tmp_path / "b" / "round").symlink_to(tmp_path)
    elsewhere = build(tmp_path.parent / f"{tmp_path.name}_other", "1.mp4", "1#1.mp4")
    (tmp_path / "z").symlink_to(elsewhere)
    (tmp_path / "lost.mp4").symlink_to("nowhere")
    found = [source.name for source in find_sources(tmp_path)]
    assert found == ["1", "b/2.avi", "b/2.mp4", "v1.2", "z/1#1.mp4", "z/1"]
    for option in ("layout", "people"):
        with pytest.raises(UserError, match=f"{option}: expected one of .*, got 'moon'"):
            find_sources(tmp_path, **{option: "moon"})


def test_plain_folders(tmp_path):
    build(tmp_path, "ann/1.mp4", "ann/2.mp4", "bob/1.mp4")
    (tmp_path / "ann" / "1.txt").write_text("good \n morning\n")
    assert speakers(tmp_path) == {"ann/1": "ann", "ann/2": "ann", "bob/1": "bob"}
    assert len(set(speakers(tmp_path, people="file").values())) == 3
    assert speakers(tmp_path / "bob") == {"1": "bob"}
    said = {source.name: source.transcript() for source in find_sources(tmp_path)}
    assert said["ann/1"] == Transcript("good morning") and said["ann/2"] == Transcript()


def test_grid(tmp_path):
    build(tmp_path, "s1/bbaf2n.mpg", "s1/lgbz9a.mpg", "s2/swwp1s.mpg")
    (tmp_path / "align").mkdir()
    (tmp_path / "align" / "bbaf2n.align").write_text(
        "0 25000 sil\n25000 30000 bine\n30000 50000 blue\n50000 60000 ate\n"
        "60000 61000 fe\n61000 62000 twoe\n62000 70000 nowe\n70000 74500 sil\n")
    (tmp_path / "s2_alignments.json").write_text(json.dumps({"swwp1s": [[0, 0.5, "sil"], [0.5, 0.75, "set"]]}))
    found = {source.name: source for source in find_sources(tmp_path)}
    assert {source.layout for source in found.values()} == {"grid"}
    assert {name: source.speaker for name, source in found.items()} == {
        "s1/bbaf2n": "s1", "s1/lgbz9a": "s1", "s2/swwp1s": "s2"}
    said = found["s1/bbaf2n"].transcript()
    assert said.text == "bin blue at f two now" and " ".join(word for *_, word in said.words) == said.text
    assert said.words[:2] == ((1.0, 1.2, "bin"), (1.2, 2.0, "blue"))
    assert found["s1/lgbz9a"].transcript() == Transcript("lay green by z nine again")
    assert found["s2/swwp1s"].transcript().words == ((0.5, 0.75, "set"),)


def test_grid_words_of_the_footage(footage):
    source = next(s for s in find_sources(footage / "grid" / "s1") if s.name == "bbaf2n")
    said = source.transcript()
    assert said.text == "bin blue at f two now" == " ".join(word for *_, word in said.words)
    assert all(0.9 < a < b < 2.2 for a, b, _ in said.words)


def test_lrs3(tmp_path):
    build(tmp_path, "pretrain/0akiEFwtkyA/00001.mp4", "trainval/0akiEFwtkyA/50001.mp4")
    (tmp_path / "pretrain/0akiEFwtkyA/00001.txt").write_text(
        "Text:  SO WHAT\nConf:  4\n\nWORD START END ASDSCORE\nSO 0.20 0.40 5.1\nWHAT 0.40 0.71 7\n")
    (tmp_path / "trainval/0akiEFwtkyA/50001.txt").write_text("Text:  THANK YOU\nConf:  5\n")
    first, second = find_sources(tmp_path)
    assert first.layout == "lrs" and first.speaker == "pretrain/0akiEFwtkyA"
    assert first.transcript() == Transcript("SO WHAT", ((0.2, 0.4, "SO"), (0.4, 0.71, "WHAT")))
    assert second.transcript() == Transcript("THANK YOU")


def test_lrs2_folders_are_programmes_not_people(tmp_path):
    build(tmp_path, *(f"main/5535415699068794046/0000{i}.mp4" for i in range(2)))
    for i in range(2):
        (tmp_path / f"main/5535415699068794046/0000{i}.txt").write_text("Text:  A\nConf:  2\n")
    assert len(set(speakers(tmp_path).values())) == 2


def test_voxceleb_with_its_sound_in_another_tree(tmp_path):
    build(tmp_path, "dev/mp4/id00012/21Uxsk56VDQ/00001.mp4", "dev/mp4/id00012/_raOc3-IRsw/00110.mp4",
          "dev/aac/id00012/21Uxsk56VDQ/00001.m4a")
    first, second = find_sources(tmp_path)
    assert first.layout == "voxceleb" and first.speaker != second.speaker
    assert first.audio() == tmp_path / "dev/aac/id00012/21Uxsk56VDQ/00001.m4a" and second.audio() is None


def test_hdtf(tmp_path):
    build(tmp_path, "WDA_BarackObama_000_0.mp4", "WDA_BarackObama_000_1.mp4", "RD_Radio1_000.mp4")
    assert speakers(tmp_path) == {"RD_Radio1_000": "RD_Radio1_000", "WDA_BarackObama_000_0": "WDA_BarackObama_000",
                                  "WDA_BarackObama_000_1": "WDA_BarackObama_000"}


@pytest.mark.parametrize("reader, content", [
    (transcripts.read_align, b"0 x sil"), (transcripts.read_align, b"12"), (transcripts.read_align, b"\xff"),
    (transcripts.read_alignments, b"[1]"), (transcripts.read_alignments, b'{"a": [[1, 2]]}'),
    (transcripts.read_lrs, b"Text: A\n\nWORD START END ASDSCORE\nA b c d"),
])
def test_damaged_transcripts_are_named(reader, content, tmp_path):
    file = tmp_path / "words"
    file.write_bytes(content)
    with pytest.raises(UserError, match="words: (expected|unreadable)"):
        reader(file)


def test_words_of_a_part():
    said = Transcript("a b c", ((0.0, 1.0, "a"), (1.0, 2.0, "b"), (2.0, 3.0, "c")))
    assert said.between(0.8, 2.4) == Transcript("b", ((pytest.approx(0.2), pytest.approx(1.2), "b"),))
    assert said.between(3, 4) == Transcript(None, ())
    assert Transcript("a b").between(0, 1) == Transcript()
