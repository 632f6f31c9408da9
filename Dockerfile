# The project with its hash-pinned packages: server, worker and single runs. See compose.yaml.
FROM python:3.11-slim AS packages
COPY requirements-image.lock .
# TensorFlow's C++ headers and the tests of the packages are removed: a fifth of the size, and no program reads them.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r requirements-image.lock \
    && rm -r /venv/lib/python3.11/site-packages/tensorflow/include \
    && find /venv -type d -name tests -prune -exec rm -r {} +
# Prefect's server copies its pages beside its code when it starts, where the user of the container may not write.
RUN /venv/bin/python -c "from prefect.server.api.server import create_ui_app; create_ui_app(ephemeral=False)" \
    && chmod -R go+rX /venv/lib/python3.11/site-packages/prefect/server

FROM python:3.11-slim
# A user without a password, who owns no other files.
RUN useradd --create-home --uid 1000 compare
WORKDIR /app
COPY --from=packages /venv /venv
COPY LICENSE README.md pyproject.toml prefect.yaml ./
COPY flows flows
COPY tasks tasks
# The volume of the results takes over owner and mode of the folder.
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --no-index -e . \
    && mkdir --mode=700 results \
    && chown compare results
USER compare
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1
VOLUME /app/results
CMD ["imdb-compare", "run"]
