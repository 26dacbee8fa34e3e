#!/usr/bin/env bash
# Everything that only a GPU can show, in one go: builds the CUDA kernels for the GPU of this machine, runs the tests
# of ops and renderer on it, measures (geneface bench), fits an avatar of the synthetic person and renders it, compares
# the picture with the CPU's, replays a rendering as a CUDA graph, and ends with one table.
#
#   tools/gpu_check.sh [FOLDER]      FOLDER keeps logs, figures and the avatar (default: gpu_check)
#
# MINUTES=2     of each fit
# AVATAR=FILE   an avatar of your own to time frames of, too
# PYTHON=...    a Python with PyTorch for CUDA, pytest and geneface's requirements (default: .venv/bin/python)
#
# Needs nvcc (on PATH or in CUDA_HOME) and an NVIDIA GPU of compute capability 7.5 or later. Where tiny-cuda-nn is
# installed it is compared, too; where compute-sanitizer is found, the op tests run under it once more.
set -euo pipefail
cd "$(dirname "$0")/.."
folder="${1:-gpu_check}"
minutes="${MINUTES:-2}"
python="${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}"
mkdir -p "$folder"

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

# Each stage runs though others fail: what works is worth knowing.
stage() {
    local name="$1" began=$SECONDS
    shift
    echo "== $name"
    if "$@" > "$folder/$name.log" 2>&1; then echo "ok $((SECONDS - began))" > "$folder/$name.state"
    else echo "FAILED $((SECONDS - began))" > "$folder/$name.state"; tail -n 15 "$folder/$name.log"; fi
}
# The last line of standard output of a verb is JSON.
verb() {
    local out="$1"
    shift
    "$python" -m geneface "$@" --json > "$folder/$out.out"
    tail -n 1 "$folder/$out.out" > "$folder/$out.json"
}

architecture="$("$python" -c 'import torch; print("%d%d" % torch.cuda.get_device_capability())')"
rm -f "$folder"/*.state "$folder"/*.json
stage build env GENEFACE_CUDA=1 GENEFACE_CUDA_ARCHS="$architecture" "$python" setup.py --quiet build_ext --inplace --force
stage tests "$python" -m pytest tests/ops tests/nerf tests/test_devices.py tests/test_render.py -rs
if command -v compute-sanitizer > /dev/null; then
    stage sanitizer compute-sanitizer --tool memcheck --error-exitcode 1 \
        "$python" -m pytest tests/ops -k "cuda and not cpu and not 1000 and not same"
    stage races compute-sanitizer --tool racecheck --error-exitcode 1 \
        "$python" -m pytest tests/ops/test_field.py -k "cuda and not cpu and not 1000 and not same"
fi
stage bench verb bench bench --device cuda
stage demo "$python" -m geneface demo -o "$folder/demo" --minutes "$minutes"
stage fit verb fit fit "$folder/demo/person" -o "$folder/gpu.avatar" --device cuda --minutes "$minutes"
stage render verb render render "$folder/gpu.avatar" --motion "$folder/demo/motion.npz" --size 512 \
    -o "$folder/gpu.mp4" --device cuda
stage evaluate verb evaluate evaluate "$folder/gpu.avatar" --person "$folder/demo/person" -o "$folder/evaluation"
stage frames verb frames bench --device cuda --only spherical_harmonics --avatar "${AVATAR:-$folder/gpu.avatar}" --size 512
stage compare "$python" tools/gpu_compare.py "${AVATAR:-$folder/gpu.avatar}" "$folder/compare.json"
"$python" tools/gpu_table.py "$folder"
