#!/usr/bin/env bash
# Build the CUDA kernels and compare them with the reference on this machine's GPU.
# Needs: nvcc, an NVIDIA GPU, and a Python with PyTorch for CUDA and pytest (PYTHON names it).
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"

"$python" - <<'CHECK'
import sys
try:
    import torch
except ImportError:
    sys.exit(f"gpu_check: {sys.executable} has no PyTorch; name a Python that has it, as in PYTHON=.venv/bin/python")
if not torch.cuda.is_available():
    sys.exit("gpu_check: PyTorch sees no CUDA GPU; install its CUDA build and a driver, then run this again")
print("GPU:", torch.cuda.get_device_name(), "| PyTorch", torch.__version__, "| CUDA", torch.version.cuda)
CHECK

architecture="$("$python" -c 'import torch; print("%d%d" % torch.cuda.get_device_capability())')"
GENEFACE_CUDA=1 GENEFACE_CUDA_ARCHS="$architecture" "$python" setup.py --quiet build_ext --inplace --force
exec "$python" -m pytest tests/ops -rs "$@"
