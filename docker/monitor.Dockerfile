# The monitor: no torch. Runs as an ordinary user; its only state is the database.
ARG BASE=python:3.11-slim
FROM ${BASE}
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY cusp cusp
COPY monitor monitor
COPY webui webui
COPY migrations migrations
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m pip install --constraint constraints.txt --editable '.[monitor]'
RUN useradd --uid 1000 --create-home cusp && mkdir /data && chown cusp /data
USER cusp
ENV CUSP_DIR=/data PYTHONUNBUFFERED=1
EXPOSE 8787
CMD ["cusp", "serve", "--host", "0.0.0.0", "--port", "8787"]
