"""A motion corpus: one safetensors file of tracked talking clips with their speech features.

Layout (C clips, F video frames in all, 25 fps; 2F feature frames, 50 Hz), clips one after another:

| tensor | what |
|---|---|
| `starts` int64 [C+1] | first video frame of every clip, then F |
| `expression` float16 [F, 52] | tracked ARKit weights |
| `held_out` uint8 [C] | 1: never trained on |
| `content.V` float16 [2F, 512] | content features of rendering V of the audio |
| `melody.V` float32 [2F, 3] | `inputs.melody` of rendering V |
| `range.V` int64 [C, 2] | video frames of each clip that rendering V covers: first, past the last |

Rendering 0 is the recording as it is, each clip on its own; the others are altered and joined (see `data_prep.corpus`).
Tensors stay on disk (memory mapped) until a clip is read, so a corpus may be larger than memory.
"""
from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ..errors import UserError
from ..types import EXPRESSIONS

TYPE = "geneface.MotionCorpus"
SCHEMA_VERSION = 1
FILE_NAME = "corpus.safetensors"


class Clip(NamedTuple):
    """Attributes: content [2T, 512], melody [2T, 3], expression [T, 52], all float32."""

    content: torch.Tensor
    melody: torch.Tensor
    expression: torch.Tensor


class MotionCorpus:
    """Reader of the file described above.

    Args:
        path: the file, or the folder that holds `corpus.safetensors`.

    Raises:
        UserError: missing, not a motion corpus, another schema, or damaged.
    """

    def __init__(self, path: str | Path) -> None:
        from safetensors import SafetensorError, safe_open

        path = Path(path)
        self.path = path / FILE_NAME if path.is_dir() else path
        if not self.path.is_file():
            raise UserError(f"{path}: no motion corpus there (no {FILE_NAME}); make one from a folder of clips")
        try:
            self._file = safe_open(self.path, framework="pt")
            header = json.loads((self._file.metadata() or {}).get("geneface", "{}"))
            if header.get("type") != TYPE:
                raise UserError(f"{self.path}: not a motion corpus; make one from a folder of clips")
            if header["schema_version"] != SCHEMA_VERSION:
                raise UserError(f"{self.path}: motion corpus schema {header['schema_version']}, this version reads "
                                f"{SCHEMA_VERSION}; prepare it again")
            self.names: list[str] = header["names"]
            self.info: dict = header["info"]
            self.starts = self._file.get_tensor("starts").numpy()
            self.held_out = self._file.get_tensor("held_out").numpy().astype(bool)
            keys = self._file.keys()
            self.renderings = sum(key.startswith("content.") for key in keys)
            self._ranges = [self._file.get_tensor(f"range.{v}").numpy() for v in range(self.renderings)]
            self._content = [self._file.get_slice(f"content.{v}") for v in range(self.renderings)]
            self._melody = [self._file.get_slice(f"melody.{v}") for v in range(self.renderings)]
            self.expression = self._file.get_tensor("expression").float()
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            raise UserError(f"{self.path}: damaged motion corpus ({error}); prepare it again") from error
        if self.expression.shape[1] != EXPRESSIONS or self.starts[-1] != len(self.expression) or not self.renderings:
            raise UserError(f"{self.path}: damaged motion corpus (lengths disagree); prepare it again")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def train(self) -> np.ndarray:
        """Indices of the clips that train."""
        return np.flatnonzero(~self.held_out)

    @property
    def test(self) -> np.ndarray:
        """Indices of the held-out clips."""
        return np.flatnonzero(self.held_out)

    def covered(self, index: int, rendering: int = 0) -> tuple[int, int]:
        """Video frames of clip `index` that `rendering` covers: first, past the last."""
        first, end = self._ranges[rendering][index]
        return int(first), int(end)

    def clip(self, index: int, rendering: int = 0) -> Clip:
        """The covered part of clip `index`."""
        first, end = (int(self.starts[index]) + frame for frame in self.covered(index, rendering))
        return Clip(self._content[rendering][2 * first:2 * end].float(), self._melody[rendering][2 * first:2 * end],
                    self.expression[first:end])


def read_split(path: Path, names: list[str]) -> np.ndarray:
    """[C] bool from a text file that lists the held-out clips, one name a line. Raises UserError for unknown names."""
    try:
        wanted = {line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()}
    except OSError as error:
        raise UserError(f"{path}: unreadable split file ({error})") from error
    known = set(names) | {Path(name).name for name in names}
    unknown = sorted(wanted - known)
    if unknown:
        raise UserError(f"{path}: no clip is called {unknown[0]!r}; name clips as files are named, without suffix")
    return np.array([name in wanted or Path(name).name in wanted for name in names])


def write_corpus(path: str | Path, names: list[str], starts: np.ndarray, held_out: np.ndarray, expression: np.ndarray,
                 renderings: list[tuple[np.ndarray, np.ndarray, np.ndarray]], info: dict) -> None:
    """Write the file described above, atomically.

    Args:
        renderings: content [2F,512], melody [2F,3] and range [C,2] of every rendering of the audio.
        info: what people should know: sources, counts of clips dropped and why (JSON values).
    """
    from safetensors.numpy import save_file

    from ..types import write_atomically

    arrays = {"starts": np.asarray(starts, np.int64), "held_out": np.asarray(held_out, np.uint8),
              "expression": np.asarray(expression, np.float16)}
    for v, (content, melody, covered) in enumerate(renderings):
        arrays[f"content.{v}"] = np.asarray(content, np.float16)
        arrays[f"melody.{v}"] = np.asarray(melody, np.float32)
        arrays[f"range.{v}"] = np.asarray(covered, np.int64)
    header = {"type": TYPE, "schema_version": SCHEMA_VERSION, "names": names, "info": info}
    write_atomically(Path(path), lambda part: save_file(arrays, part, {"geneface": json.dumps(header)}))
