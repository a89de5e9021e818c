# The environment of the team's servers and workers: docker compose builds both targets, see docs/team.md.
#
#   docker build --target cpu -t degrain-cpu .
#   docker build --target cuda -t degrain-cuda .
#
# The code is not in the image: a worker runs the commit that its clone in /srv/degrain is at, and a conductor sends it
# others. So a new image is needed only when pyproject.toml, constraints.txt or team/ change.
ARG BASE=python:3.11.15-slim-bookworm

# hadolint ignore=DL3006
FROM ${BASE} AS base
# Debian's security updates replace git's version, and a pinned one then cannot be installed.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates git openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --home-dir /var/lib/degrain degrain \
    && install -d -o degrain -g degrain /srv/degrain /var/lib/degrain/prefect \
    && python3 -m venv /opt/uv \
    && /opt/uv/bin/pip install --no-cache-dir --disable-pip-version-check uv==0.13.9 \
    && /opt/uv/bin/uv venv --python "$(command -v python3)" /opt/degrain
# Nothing calls home; see machine/variables.py.
ENV PATH=/opt/degrain/bin:$PATH \
    DEGRAIN_PROJECT=/srv/degrain \
    PYTHONPATH=/srv/degrain/src:/srv/degrain \
    DO_NOT_TRACK=1 \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    MLFLOW_DISABLE_TELEMETRY=true \
    DVC_NO_ANALYTICS=1 \
    GX_ANALYTICS_ENABLED=false \
    NO_ALBUMENTATIONS_UPDATE=1 \
    PYTHONUNBUFFERED=1
# A new volume takes over what the image has in its folder, and git clones only into an empty one: so the files that tell
# what to install are removed again. The command `degrain` runs what is cloned there, by PYTHONPATH.
WORKDIR /srv/degrain
COPY pyproject.toml constraints.txt README.md LICENSE ./

FROM base AS cpu
# As uv knows it: cpu, cu130, ...; empty for the plain package index.
ARG TORCH_BACKEND=cpu
RUN VIRTUAL_ENV=/opt/degrain /opt/uv/bin/uv pip install --no-cache --compile-bytecode \
        ${TORCH_BACKEND:+--torch-backend="$TORCH_BACKEND"} -c constraints.txt '.[team]' \
    && rm -rf /srv/degrain/*
COPY team /opt/team
USER 10001

FROM base AS cuda
ARG TORCH_BACKEND=cu130
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN VIRTUAL_ENV=/opt/degrain /opt/uv/bin/uv pip install --no-cache --compile-bytecode \
        ${TORCH_BACKEND:+--torch-backend="$TORCH_BACKEND"} -c constraints.txt '.[team]' \
    && rm -rf /srv/degrain/*
COPY team /opt/team
USER 10001
# No HEALTHCHECK: server and worker are healthy in different ways, so docker-compose.yml tells.
