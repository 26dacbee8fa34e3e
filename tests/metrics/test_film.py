from types import SimpleNamespace

import numpy as np
import pytest

from geneface.media import probe, read_audio, read_frames, write_wav
from geneface.metrics.film import LABEL, Film, grid


def picture(level, height=64, width=96):
    return np.full((height, width, 3), level, np.uint8)


def person(folder, sound=True):
    ramp = np.sin(np.arange(4 * 16000) * 0.4).astype(np.float32)
    ramp[: 2 * 16000] = 0  # silent for two seconds
    write_wav(folder / "audio.wav", ramp)
    return SimpleNamespace(path=folder, fps=25.0, speech=range(200) if sound else range(0))


def test_rows_of_pictures_with_the_sound_of_their_frames(tmp_path):
    rows = [["truth", "tracked"], ["truth", "predicted"]]
    with Film(tmp_path / "out" / "film.mp4", rows, person(tmp_path), range(40, 60)) as film:
        for step in range(20):
            film.add({"truth": picture(10 * step), "tracked": picture(200), "predicted": picture(40)})
    frames = list(read_frames(film.path, 25.0))
    assert len(frames) == 20 and frames[0].shape == (2 * (64 + LABEL), 2 * 96, 3)
    for row, right in ((0, 200), (1, 40)):
        middle = (64 + LABEL) * row + LABEL + 32
        assert frames[7][middle, 48].mean() == pytest.approx(70, abs=4)
        assert frames[7][middle, 144].mean() == pytest.approx(right, abs=4)
    sound = read_audio(film.path)
    assert len(sound) / 16000 == pytest.approx(20 / 25, abs=0.1)
    # Frame 50 is where the sound sets in: 0.4 s after the film's beginning.
    assert np.abs(sound[:5500]).max() < 0.1 and np.abs(sound[7500:12000]).max() > 0.5


def test_a_person_without_sound_gives_a_silent_film(tmp_path):
    with Film(tmp_path / "film.mp4", [["truth"]], person(tmp_path, sound=False), range(3)) as film:
        for _ in range(3):
            film.add({"truth": picture(90)})
    assert not probe(film.path).has_audio


def test_nothing_is_left_of_a_film_that_was_stopped(tmp_path):
    (tmp_path / "films").mkdir()
    with pytest.raises(KeyboardInterrupt):
        with Film(tmp_path / "films" / "film.mp4", [["truth"]], person(tmp_path), range(3)) as film:
            film.add({"truth": picture(90)})
            raise KeyboardInterrupt
    assert list((tmp_path / "films").iterdir()) == []


@pytest.mark.parametrize("columns, width", [(1, 512), (3, 1536), (5, 5 * 306)])
def test_many_pictures_are_made_smaller(columns, width):
    row = [(f"avatar {i}", picture(50, 512, 512)) for i in range(columns)]
    sheet = grid([row])
    assert sheet.shape == (width // columns + LABEL, width, 3)
    assert (sheet[:LABEL, : width // columns].max(axis=(0, 1)) > 150).all()  # its name is written above it
