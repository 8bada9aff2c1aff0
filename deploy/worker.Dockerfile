# The worker and the janitor, with torch. From the repository's root:
#   docker build -f deploy/worker.Dockerfile -t stillhouse/worker .
#   docker build -f deploy/worker.Dockerfile -t stillhouse/worker:cpu \
#     --build-arg TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu .
FROM python:3.11.15-slim-bookworm AS base

FROM base AS build
# Empty: PyPI's torch, which carries CUDA itself; the host gives the driver.
ARG TORCH_INDEX_URL=
WORKDIR /src
COPY pyproject.toml constraints.txt README.md ./
COPY deploy/install.sh deploy/
COPY app app
COPY migrations migrations
COPY stillhouse stillhouse
COPY worker worker
RUN --mount=type=cache,target=/root/.cache/pip deploy/install.sh worker /opt/stillhouse

FROM base
RUN groupadd --gid 10001 stillhouse \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/stillhouse --shell /usr/sbin/nologin stillhouse \
    && install -d -o stillhouse -g stillhouse -m 0750 /var/lib/stillhouse
COPY --from=build /opt/stillhouse /opt/stillhouse
# Safe path: nothing is imported from the folder a process happens to stand in, a job's folder least of all.
ENV PATH=/opt/stillhouse/bin:$PATH \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    STILLHOUSE_DATA=/var/lib/stillhouse
WORKDIR /opt/stillhouse
USER 10001:10001
CMD ["python", "-m", "worker", "distill"]
