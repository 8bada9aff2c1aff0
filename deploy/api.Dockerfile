# The API, without torch and without the worker's code. From the repository's root:
#   docker build -f deploy/api.Dockerfile -t stillhouse/api .
FROM python:3.11.15-slim-bookworm AS base

FROM base AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md ./
COPY deploy/install.sh deploy/
COPY app app
COPY migrations migrations
COPY stillhouse stillhouse
RUN --mount=type=cache,target=/root/.cache/pip deploy/install.sh api /opt/stillhouse

FROM base
RUN groupadd --gid 10001 stillhouse \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/stillhouse --shell /usr/sbin/nologin stillhouse \
    && install -d -o stillhouse -g stillhouse -m 0750 /var/lib/stillhouse
COPY --from=build /opt/stillhouse /opt/stillhouse
# Safe path: nothing is imported from the folder a process happens to stand in.
ENV PATH=/opt/stillhouse/bin:$PATH \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    STILLHOUSE_DATA=/var/lib/stillhouse
WORKDIR /opt/stillhouse
USER 10001:10001
EXPOSE 8000
CMD ["python", "-m", "uvicorn", "--factory", "app.main:create_app", "--http", "app.api.deadlines:Deadlines", "--host", "0.0.0.0", "--port", "8000"]
