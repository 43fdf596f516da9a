# Two stages: the first installs the locked packages, the second runs them without any installer
# or compiler, as a user that is not root. State lives in /var/lib/portal: mount a volume there.

FROM python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b AS build
WORKDIR /app
COPY requirements.txt requirements-dev.txt requirements-build.txt ./
RUN sed -n '/^uv==/,/[^\\]$/p' requirements-dev.txt > /tmp/uv.txt && python -m pip install --no-cache-dir --require-hashes -r /tmp/uv.txt
RUN python -m venv --without-pip /app/.venv
RUN python -m uv pip install --no-cache --compile-bytecode --require-hashes --build-constraint requirements-build.txt --python /app/.venv/bin/python -r requirements.txt
COPY .ci/environment.py .ci/environment.py
RUN python .ci/environment.py steward

FROM python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b
RUN python -m pip uninstall --yes pip setuptools wheel
RUN groupadd --system --gid 10001 portal && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/portal --create-home portal && chmod 700 /var/lib/portal
WORKDIR /app
COPY --from=build /app/.venv /app/.venv
COPY .streamlit .streamlit
COPY data data
COPY app.py ./
COPY auth auth
COPY pages pages
COPY backend backend
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
