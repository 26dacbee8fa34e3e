"""A motion corpus: talking clips with their speech features, in safetensors shards beside one index.

```
corpus.json                  which shards there are, names and lengths of their clips, which are held out
shards/<key>.safetensors     a few dozen clips each
```

A shard (C clips, F video frames in all, 25 fps) holds its clips one after another. Each clip's sound is there in
several renderings; rendering V has F_V video frames in all and, at 50 Hz, 2 F_V feature frames:

| tensor | what |
|---|---|
| `starts` int64 [C+1] | first video frame of every clip, then F |
| `expression` float16 [F, 52] | tracked ARKit weights |
| `landmarks` float32 [F, 68, 3] | canonical landmarks in head space, on the basis' mean identity [m] |
| `starts.V` int64 [C+1] | first video frame of every clip in rendering V, then F_V |
| `content.V` float16 [2F_V, 512] | content features of rendering V of the audio |
| `melody.V` float32 [2F_V, 3] | `speech.melody.melody` of rendering V |
| `mel.V` float16 [2F_V, 80] | `speech.mel.mel_features` of rendering V |
| `times.V` float32 [F_V] | place in the clip, in its video frames, that each frame of rendering V shows |

Rendering 0 is the recording as it is, each clip on its own and whole; the others are joined, altered, slower or faster,
or spoken by other voices (see `data_prep.corpora.renderings`), and may cover a part of the clip. The shard's JSON
header says of every clip who speaks and, where the corpus knows, what and when (`ClipInfo`), and of every source that
gave no clip, why. Tensors stay on disk (memory mapped) until a clip is read, so a corpus may be larger than memory.
"""
from __future__ import annotations

import json
import re
from collections import OrderedDict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from .errors import UserError
from .speech.mel import MELS
from .types import CANONICAL_LANDMARKS, EXPRESSIONS, check_array, require, write_atomically

TYPE = "geneface.MotionCorpus"
SHARD_TYPE = "geneface.MotionShard"
SCHEMA_VERSION = 3
FILE_NAME = "corpus.json"
SHARDS = "shards"
FPS = 25.0  # of video frames; features come twice as fast
_OPEN = 12  # shards kept open: the memory they are mapped to stays resident


class Rendering(NamedTuple):
    """A clip's sound as a model hears it, and which of the clip's motion goes with it.

    Attributes:
        content: [2T,512] content features.
        melody: [2T,3] F0, energy, voicing.
        mel: [2T,80] log-mel.
        times: [T] place in the clip [video frames] of every frame, not decreasing; whole numbers where the sound has
            the recording's own timing.
    """

    content: np.ndarray
    melody: np.ndarray
    mel: np.ndarray
    times: np.ndarray


@dataclass(frozen=True)
class ClipInfo:
    """What is known of a clip beside its tensors.

    Attributes:
        name: path of its file below the corpus folder, without suffix; `#1`, `#2` ... follow where a file was cut.
        speaker: whose clips share one identity.
        text: what is said, or None.
        words: (start [s], end [s], word) in the clip's own time, or None.
        audio_offset_frames: lag of the sound behind the picture as recorded [frames], or None where it could not be
            told; a corpus prepared with `align` has its sound moved by so much.
    """

    name: str
    speaker: str
    text: str | None = None
    words: tuple[tuple[float, float, str], ...] | None = None
    audio_offset_frames: float | None = None

    @property
    def sentence(self) -> list[str]:
        """The words that are said, in order; none where they are not known."""
        return self.text.split() if self.text is not None else [word for *_, word in self.words or ()]


@dataclass(frozen=True)
class TrainingClip:
    """A clip as it is written.

    Attributes:
        info: about it.
        expression: [T,52] tracked ARKit weights.
        landmarks: [T,68,3] canonical landmarks [m].
        renderings: of its audio, the recording as it is first.
    """

    info: ClipInfo
    expression: np.ndarray
    landmarks: np.ndarray
    renderings: tuple[Rendering, ...]

    def __post_init__(self) -> None:
        frames = len(self.expression)
        check_array("expression", self.expression, (frames, EXPRESSIONS))
        check_array("landmarks", self.landmarks, (frames, CANONICAL_LANDMARKS, 3))
        for content, melody, mel, times in self.renderings:
            check_array("times", times, (None,))
            require(len(times) > 0 and 0 <= times[0] and (np.diff(times) >= 0).all() and times[-1] <= frames - 1,
                    f"renderings: times must rise within frames 0 to {frames - 1}")
            check_array("content", content, (2 * len(times), None))
            check_array("melody", melody, (2 * len(times), 3))
            check_array("mel", mel, (2 * len(times), MELS))


class Clip(NamedTuple):
    """Attributes: content [2T, 512], melody [2T, 3], expression [T, 52], mel [2T, 80], all float32."""

    content: torch.Tensor
    melody: torch.Tensor
    expression: torch.Tensor
    mel: torch.Tensor


def write_shard(path: Path, clips: list[TrainingClip], renderings: int, about: dict[str, Any]) -> None:
    """Write a shard, atomically.

    Args:
        renderings: how many each clip has (a shard may be without clips).
        about: JSON values for the header beside `clips`: at least `dropped` {name: reason}.
    """
    from safetensors.numpy import save_file

    def joined(parts: list[np.ndarray], empty: tuple[int, ...], dtype: type) -> np.ndarray:
        return np.concatenate([np.zeros((0, *empty), dtype), *(np.asarray(part, dtype) for part in parts)])

    arrays = {
        "starts": np.cumsum([0, *(len(clip.expression) for clip in clips)]).astype(np.int64),
        "expression": joined([clip.expression for clip in clips], (EXPRESSIONS,), np.float16),
        "landmarks": joined([clip.landmarks for clip in clips], (CANONICAL_LANDMARKS, 3), np.float32),
    }
    width = clips[0].renderings[0].content.shape[1] if clips else 0
    for v in range(renderings):
        heard = [clip.renderings[v] for clip in clips]
        arrays[f"starts.{v}"] = np.cumsum([0, *(len(one.times) for one in heard)]).astype(np.int64)
        arrays[f"content.{v}"] = joined([one.content for one in heard], (width,), np.float16)
        arrays[f"melody.{v}"] = joined([one.melody for one in heard], (3,), np.float32)
        arrays[f"mel.{v}"] = joined([one.mel for one in heard], (MELS,), np.float16)
        arrays[f"times.{v}"] = joined([one.times for one in heard], (), np.float32)
    header = about | {"type": SHARD_TYPE, "schema_version": SCHEMA_VERSION, "clips": [asdict(c.info) for c in clips]}
    write_atomically(path, lambda part: save_file(arrays, part, {"geneface": json.dumps(header)}))


def read_shard_header(path: Path) -> dict[str, Any]:
    """Header of a shard, and `starts` as a list. Raises UserError where it is damaged or something else."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            header = json.loads((file.metadata() or {})["geneface"])
            header["starts"] = file.get_tensor("starts").tolist()
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise UserError(f"{path}: damaged shard ({error}); delete it and prepare the corpus again") from error
    if (header.get("type"), header.get("schema_version")) != (SHARD_TYPE, SCHEMA_VERSION):
        raise UserError(f"{path}: not a shard of a motion corpus of schema {SCHEMA_VERSION}; prepare the corpus again")
    return header


def write_index(folder: Path, shards: list[tuple[str, dict[str, Any]]], held_out: np.ndarray, renderings: int,
                info: dict[str, Any]) -> None:
    """Write `corpus.json`, atomically.

    Args:
        shards: file name in `shards/` and header of each; those without clips are left out.
        held_out: [C] bool over the clips of all shards.
        info: what people should know: sources, counts of clips dropped and why (JSON values).
    """
    rows, first = [], 0
    for name, header in shards:
        count = len(header["clips"])
        if count:
            rows.append({"file": name, "names": [clip["name"] for clip in header["clips"]],
                         "frames": np.diff(header["starts"]).tolist(),
                         "held_out": [int(x) for x in held_out[first:first + count]]})
        first += count
    require(first == len(held_out), f"held_out: expected {first} values, got {len(held_out)}")
    content = {"type": TYPE, "schema_version": SCHEMA_VERSION, "renderings": renderings, "info": info, "shards": rows}
    write_atomically(folder / FILE_NAME, lambda part: part.write_text(json.dumps(content), "utf-8"))


class MotionCorpus:
    """Reader of the folder described above.

    Args:
        path: the folder, or its `corpus.json`.

    Raises:
        UserError: missing, not a motion corpus, another schema, or damaged.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        self.path = path / FILE_NAME if path.is_dir() else path
        if not self.path.is_file():
            raise UserError(f"{path}: no motion corpus there (no {FILE_NAME}); make one from a folder of clips")
        try:
            content = json.loads(self.path.read_text("utf-8"))
            if content.get("type") != TYPE:
                raise UserError(f"{self.path}: not a motion corpus; make one from a folder of clips")
            if content["schema_version"] != SCHEMA_VERSION:
                raise UserError(f"{self.path}: motion corpus schema {content['schema_version']}, this version reads "
                                f"{SCHEMA_VERSION}; prepare it again")
            self.info: dict = content["info"]
            self.renderings = int(content["renderings"])
            shards = content["shards"]
            self._files = [self.path.parent / SHARDS / shard["file"] for shard in shards]
            self.names: list[str] = [name for shard in shards for name in shard["names"]]
            self.frames = np.array([count for shard in shards for count in shard["frames"]], np.int64)
            self.held_out = np.array([flag for shard in shards for flag in shard["held_out"]], bool)
            self._shard = np.repeat(np.arange(len(shards)), [len(shard["names"]) for shard in shards])
            self._place = np.concatenate([np.zeros(0, np.int64), *(np.arange(len(s["names"])) for s in shards)])
        except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
            raise UserError(f"{self.path}: damaged motion corpus ({error}); prepare it again") from error
        if not len(self.names) == len(self.frames) == len(self.held_out) or self.renderings < 1:
            raise UserError(f"{self.path}: damaged motion corpus (lengths disagree); prepare it again")
        self._open: OrderedDict[int, _Shard] = OrderedDict()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def shard(self) -> np.ndarray:
        """[C] number of the shard that each clip lies in."""
        return self._shard

    @property
    def streamed(self) -> bool:
        """Whether its features are those of a stream, for causal models."""
        return bool(self.info.get("streamed", False))

    @property
    def train(self) -> np.ndarray:
        """Indices of the clips that train."""
        return np.flatnonzero(~self.held_out)

    @property
    def test(self) -> np.ndarray:
        """Indices of the held-out clips."""
        return np.flatnonzero(self.held_out)

    def times(self, index: int, rendering: int = 0) -> torch.Tensor:
        """[T] place in clip `index` [video frames] that each frame of `rendering` shows."""
        shard, place = self._find(index)
        return shard.read(f"times.{rendering}", *shard.rows(place, rendering))

    def clip(self, index: int, rendering: int = 0) -> Clip:
        """Clip `index` as `rendering` has it: its features, and the motion at their times."""
        shard, place = self._find(index)
        low, high = shard.rows(place, rendering)
        first, end = (int(frame) for frame in shard.starts[place:place + 2])
        expression = shard.read("expression", first, end).float()
        return Clip(shard.read(f"content.{rendering}", 2 * low, 2 * high).float(),
                    shard.read(f"melody.{rendering}", 2 * low, 2 * high),
                    motion_at(expression, shard.read(f"times.{rendering}", low, high)),
                    shard.read(f"mel.{rendering}", 2 * low, 2 * high).float())

    def landmarks(self, index: int) -> torch.Tensor:
        """[T, 68, 3] canonical landmarks of the whole clip `index` [m]."""
        shard, place = self._find(index)
        return shard.read("landmarks", int(shard.starts[place]), int(shard.starts[place + 1]))

    def about(self, index: int) -> ClipInfo:
        """Who speaks in clip `index` and, where the corpus knows, what and when."""
        shard, place = self._find(index)
        info = dict(shard.clips[place])
        words = info.pop("words")
        return ClipInfo(**info, words=None if words is None else tuple((a, b, word) for a, b, word in words))

    def _find(self, index: int) -> tuple["_Shard", int]:
        number = int(self._shard[index])
        shard = self._open.pop(number, None)
        if shard is None:
            shard = _Shard(self._files[number], self.renderings)
            if np.diff(shard.starts).tolist() != self.frames[self._shard == number].tolist():
                raise UserError(f"{self._files[number]}: is not the shard that {self.path} lists; prepare it again")
            while len(self._open) >= _OPEN:
                self._open.popitem(last=False)
        self._open[number] = shard
        return shard, int(self._place[index])


class _Shard:
    """An open shard."""

    def __init__(self, path: Path, renderings: int) -> None:
        from safetensors import safe_open

        header = read_shard_header(path)
        self.clips: list[dict[str, Any]] = header["clips"]
        self.starts = np.array(header["starts"], np.int64)
        self._path = path
        self._file = safe_open(path, framework="pt")
        self._slices: dict[str, Any] = {}
        self._starts = [self.read(f"starts.{v}", 0, len(self.clips) + 1).tolist() for v in range(renderings)]

    def rows(self, place: int, rendering: int) -> tuple[int, int]:
        """Video frames of a clip in the tensors of a rendering: first, past the last."""
        return self._starts[rendering][place], self._starts[rendering][place + 1]

    def read(self, name: str, first: int, end: int) -> torch.Tensor:
        """Rows of a tensor."""
        from safetensors import SafetensorError

        try:
            if name not in self._slices:
                self._slices[name] = self._file.get_slice(name)
            return self._slices[name][first:end]
        except (SafetensorError, OSError) as error:
            raise UserError(f"{self._path}: damaged shard ({error}); delete it and prepare the corpus again") from error


def motion_at(expression: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """Weights [F, 52] at `times` [T, frames] -> [T, 52]: cubic between frames, at whole times the frames."""
    whole = times.round().long()
    if (times - whole).abs().max() < 1e-3:
        return expression[whole]
    from scipy.interpolate import CubicSpline

    between = CubicSpline(np.arange(len(expression)), expression.numpy())(times.numpy())
    return torch.from_numpy(between.clip(0, 1).astype(np.float32))


def recording_of(name: str) -> str:
    """Name of the file that a clip was cut from."""
    return re.sub(r"#\d+$", "", name)


def read_split(path: Path, names: list[str]) -> np.ndarray:
    """[C] bool from a text file that lists the held-out clips or recordings, one name a line. Raises UserError for
    unknown names."""
    try:
        wanted = {line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()}
    except OSError as error:
        raise UserError(f"{path}: unreadable split file ({error})") from error
    also = [{name, recording_of(name), Path(name).name, recording_of(Path(name).name)} for name in names]
    unknown = sorted(wanted - set().union(*also))
    if unknown:
        raise UserError(f"{path}: no clip is called {unknown[0]!r}; name clips as files are named, without suffix")
    return np.array([bool(wanted & called) for called in also], bool)
