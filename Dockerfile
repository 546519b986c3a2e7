# syntax=docker/dockerfile:1
# For a reproducible release pin both stages by digest: python:3.13-slim@sha256:…
# (`docker buildx imagetools inspect python:3.13-slim` prints the current one).
FROM python:3.13-slim AS build

WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY authz ./authz
# The final stage has the same interpreter at the same path, so the venv moves as it is.
RUN python -m venv /opt/authz \
    && /opt/authz/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt . \
    && /opt/authz/bin/python -m compileall -q /opt/authz/lib \
    && /opt/authz/bin/pip uninstall --yes --quiet pip


FROM python:3.13-slim

# Nothing in the final image installs software.
RUN python -m pip uninstall --yes --quiet pip \
    && rm -rf /usr/local/lib/python3.13/ensurepip \
    && install -d -o 65532 -g 65532 -m 0750 /run/authz
COPY --from=build /opt/authz /opt/authz

ENV PATH=/opt/authz/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /
# 9191: ext_authz and grpc.health.v1.  8181: /metrics, /health, /ready.  Unix sockets belong in /run/authz.
EXPOSE 9191 8181

# No HEALTHCHECK: an orchestrator probes. Liveness GET /health, readiness GET /ready on the admin address,
# or the gRPC health service on the check address (docs/behaviour.md says what each of them answers).
# In a pod, sidecar and Envoy share the network namespace: the loopback defaults of both addresses are right,
# except that a kubelet probe needs --admin-addr 0.0.0.0:8181.
STOPSIGNAL SIGTERM
ENTRYPOINT ["authz"]
CMD ["serve", "/policies"]
