# The project with its hash-pinned packages: server, worker and single runs. See compose.yaml.
FROM python:3.11-slim AS packages
WORKDIR /app
COPY requirements.lock .
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r requirements.lock

FROM python:3.11-slim
# A user without a password, who owns no other files.
RUN useradd --create-home --uid 1000 compare
WORKDIR /app
COPY --from=packages /venv /venv
COPY LICENSE README.md pyproject.toml prefect.yaml ./
COPY flows flows
COPY tasks tasks
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
# The recurrent loops are compiled once and cached beside their source. The volume of the results takes over the mode.
RUN mkdir --mode=700 results && chown -R compare results tasks
USER compare
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1
VOLUME /app/results
CMD ["imdb-compare", "run"]
