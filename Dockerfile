# The project with its hash-pinned packages, for the server, the worker and single runs; see compose.yaml.
FROM python:3.11-slim AS packages
WORKDIR /app
COPY requirements.lock .
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r requirements.lock

FROM python:3.11-slim
# Nobody else's files, and no password to become somebody else.
RUN useradd --create-home --uid 1000 compare
WORKDIR /app
COPY --from=packages /venv /venv
COPY LICENSE README.md pyproject.toml prefect.yaml ./
COPY flows flows
COPY tasks tasks
# The recurrent loops are compiled once and kept beside their source; results lie in a volume, which takes over the mode.
RUN mkdir --mode=700 results && chown -R compare results tasks
USER compare
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1
VOLUME /app/results
CMD ["python", "-m", "flows.imdb_compare"]
