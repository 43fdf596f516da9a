# `make image` builds it, `make test-image` tries what comes of it. Three stages: the locked packages
# without what is never run, the portal's own files, and what runs both: no installer, no compiler,
# not root. Bytecode is compiled once, without time stamps, so no copy of a file makes it stale; not
# for what DataHub's and OpenMetadata's own commands alone import, which is much.
# State lies in /var/lib/portal: mount a volume there.

FROM python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b AS packages
WORKDIR /app
COPY requirements-build.txt ./
RUN --mount=type=cache,target=/cache/pip python -m pip install --cache-dir /cache/pip --require-hashes -r requirements-build.txt
COPY requirements.txt requirements-traces.txt ./
# Not empty: OpenTelemetry's SDK goes in, too.
ARG TRACES=
COPY .ci/slim.py .ci/environment.py .ci/
RUN --mount=type=cache,target=/cache/uv python -m venv --without-pip /app/.venv && python -m uv pip install --cache-dir /cache/uv --link-mode copy --require-hashes --build-constraint requirements-build.txt --python /app/.venv/bin/python -r requirements.txt ${TRACES:+-r requirements-traces.txt} && python .ci/slim.py /app/.venv && python .ci/environment.py steward && python -m compileall -q -j 0 --invalidation-mode unchecked-hash -x 'packages/(datahub/ingestion/source|kubernetes|metadata|sqlfluff)/' /app/.venv/lib

FROM python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b AS files
WORKDIR /app
COPY .streamlit .streamlit
COPY data data
COPY app.py ./
COPY auth auth
COPY pages pages
COPY backend backend
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash /app

FROM python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b
RUN rm -rf /usr/local/lib/python3.11/site-packages/* /usr/local/bin/pip* && groupadd --system --gid 10001 portal && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/portal --create-home portal && chmod 700 /var/lib/portal
WORKDIR /app
COPY --from=packages /app/.venv /app/.venv
COPY --from=files /app /app
ENV PORTAL_DATA_DIR=/var/lib/portal \
    DATAHUB_TELEMETRY_ENABLED=false \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PATH=/app/.venv/bin:/usr/local/bin:/usr/bin:/bin
# By number, so that an orchestrator that forbids root can tell.
USER 10001:10001
VOLUME /var/lib/portal
EXPOSE 8501
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["/app/.venv/bin/python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('STREAMLIT_SERVER_PORT', '8501') + '/readyz', timeout=4)"]
CMD ["/app/.venv/bin/python", "-m", "auth.serve", "--server.address", "0.0.0.0"]
# Last: they change with every commit.
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Steward Portal" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
