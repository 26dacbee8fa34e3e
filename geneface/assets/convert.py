"""Model files made from what others publish in another format."""
from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

# All that a pickle of plain numpy arrays names; anything else is refused, so that reading one runs
# nothing but numpy's array constructor.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


class _ArrayUnpickler(pickle.Unpickler):
    """Reads nested dictionaries of numpy arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not a plain array")
        if name == "_reconstruct":
            # numpy 2 moved it; `numpy.core` still answers but warns.
            return np.empty(0).__reduce__()[0]
        return getattr(np, name)


def read_arrays(data: bytes) -> dict[str, Any]:
    """Nested dictionaries of arrays from a pickle of only those.

    Raises:
        ValueError: the pickle is damaged or names anything but plain arrays.
    """
    try:
        return _ArrayUnpickler(io.BytesIO(data)).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"not a pickle of plain arrays: {error}") from error


def lpips_from_checkpoint(source: Path, target: Path) -> None:
    """LPIPS AlexNet weights of a flax checkpoint, as safetensors in torch's layout.

    Writes `conv{0..4}.weight` [out,in,height,width], `conv{0..4}.bias` [out] and `lin{0..4}.weight`
    [1,channels,1,1]; flax keeps convolutions as [height,width,in,out].
    """
    from safetensors.numpy import save_file

    checkpoint = read_arrays(source.read_bytes())
    tensors = {}
    for index in range(5):
        layer = checkpoint["AlexNet_0"][f"Conv_{index}"]
        tensors[f"conv{index}.weight"] = layer["kernel"].transpose(3, 2, 0, 1)
        tensors[f"conv{index}.bias"] = layer["bias"]
        tensors[f"lin{index}.weight"] = checkpoint[f"NetLinLayer_{index}"]["Conv_0"]["kernel"].transpose(3, 2, 0, 1)
    save_file({name: np.ascontiguousarray(value, dtype=np.float32) for name, value in tensors.items()}, target)
