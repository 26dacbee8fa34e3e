# make demo    everything once on a synthetic person: video and report in demo/
# make test    all tests
# make cuda    the CUDA kernels, compiled for every GPU generation; needs nvcc (on PATH or in CUDA_HOME), no GPU
# make sanitize  the kernels' tests on libraries that stop at any access out of bounds or undefined operation (GCC)
# make install only the virtual environment and the package in it
#
# PYTHON=python3.12      which Python makes .venv (3.10 to 3.12)
# TORCH_INDEX=URL        where to take PyTorch from. Without a GPU, https://download.pytorch.org/whl/cpu saves
#                        several GB on machines whose pip would take the CUDA build.
# DEMO=folder            where the demo goes
#
# Run again, each target reuses what is there: the environment until the requirements change, the kernels
# until their sources do, the demo's stages until their options do.

PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$p && break; done)
TORCH_INDEX ?=
DEMO ?= demo

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
STAMPS := $(VENV)/stamps
REQUIREMENTS := requirements.txt requirements-avatar.txt
CUDA_PYTHON = $(if $(wildcard $(PY)),$(PY),$(PYTHON))
KERNELS := $(wildcard cuda_ext/*/*.h cuda_ext/*/*.cpp cuda_ext/*/*.cu)

.PHONY: demo test cuda sanitize install clean
.DELETE_ON_ERROR:

demo: install
	$(VENV)/bin/geneface demo -o $(DEMO)

test: install
	$(PY) -m pytest

# Any Python with a setuptools that reads pyproject.toml builds them: nothing of PyTorch is needed.
cuda:
	@$(CUDA_PYTHON) -c 'import setuptools, sys; sys.exit(int(setuptools.__version__.split(".")[0]) < 77)' || { \
		echo "make cuda needs setuptools 77 or newer: run make install first, or pip install -U setuptools"; exit 2; }
	GENEFACE_CUDA=only $(CUDA_PYTHON) setup.py --quiet build_ext --inplace --force

sanitize: install
	$(PY) tools/sanitize.py

install: $(STAMPS)/package

$(STAMPS)/venv:
	@test -n "$(PYTHON)" || { echo "geneface needs Python 3.10, 3.11 or 3.12: install one, or name it: make PYTHON=/path/to/python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS)
	@touch $@

$(STAMPS)/requirements: $(REQUIREMENTS) | $(STAMPS)/venv
	$(if $(TORCH_INDEX),$(PIP) install --quiet --no-deps --index-url $(TORCH_INDEX) $$(grep '^torch==' requirements.txt))
	$(PIP) install --quiet $(REQUIREMENTS:%=-r %)
	@touch $@

# --no-build-isolation: the build needs only setuptools, which requirements.txt has brought.
$(STAMPS)/package: $(STAMPS)/requirements setup.py pyproject.toml $(KERNELS)
	$(PIP) install --quiet --no-build-isolation -e '.[avatar,usd,words,test]'
	@touch $@

clean:
	rm -rf build *.egg-info geneface/ops/_native demo
