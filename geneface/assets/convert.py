"""Model files made from what others publish in another format."""
from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
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


# Layer of the model in `speech.vad` -> its name in the publisher's graph.
_VAD_LAYERS = {
    "stft.weight": "stft.forward_basis_buffer",
    **{f"convolutions.{i}.{kind}": f"encoder.{i}.reparam_conv.{kind}" for i in range(4) for kind in ("weight", "bias")},
    **{f"lstm.{kind}_l0": f"decoder.rnn.{kind}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")},
    "out.weight": "decoder.decoder.2.weight",
    "out.bias": "decoder.decoder.2.bias",
}


def vad_from_onnx(source: Path, target: Path) -> None:
    """Silero's voice activity weights of an ONNX graph, as safetensors under the names of `speech.vad`."""
    from safetensors.numpy import save_file

    stored = read_onnx_tensors(source.read_bytes())
    tensors = {name: stored[f"model.{inside}"] for name, inside in _VAD_LAYERS.items()}
    tensors["out.weight"] = tensors["out.weight"][..., 0]
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, target)


def read_onnx_tensors(data: bytes) -> dict[str, np.ndarray]:
    """The float32 weights of an ONNX model: ModelProto.graph (field 7), GraphProto.initializer (5), TensorProto dims
    (1), data_type (2), name (8), raw_data (9).

    Raises:
        ValueError: damaged, or no ONNX model.
    """
    tensors = {}
    try:
        graphs = [value for number, value in _protobuf(data) if number == 7]
        for number, value in _protobuf(graphs[0]):
            if number != 5:
                continue
            fields = list(_protobuf(value))
            kept = dict(fields)
            if kept.get(2) == 1:
                shape = [size for field, size in fields if field == 1]
                tensors[bytes(kept[8]).decode("utf-8")] = np.frombuffer(kept[9], "<f4").reshape(shape)
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not an ONNX model of plain weights: {error}") from error
    return tensors


def _protobuf(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of every field of a protobuf message; a nested message is its bytes."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = varint()
        kind = tag & 7
        if kind == 0:
            yield tag >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(kind)
        if size is None:
            if kind != 2:
                raise ValueError(f"wire type {kind}")
            size = varint()
        at += size
        if at > len(data):
            raise ValueError("cut short")
        yield tag >> 3, data[at - size:at]
