# The agent and the embedded hub as an image: one stage builds, the other carries the result alone.
#
#   docker build -t wpsa .
#   docker run -e WPSA_SITE_URL=https://example.com -v wpsa:/var/lib/wpsa wpsa
#
# How it is meant to be run, with its secrets and limits: config/README.md.

# A tag moves. For a release name what was tested: --build-arg BASE=python:3.13-slim-trixie@sha256:…
# Any Debian with `python3` (3.11 to 3.14) and its venv module will do.
ARG BASE=python:3.13-slim-trixie

# --- the wheels, installed as locked -------------------------------------------------------------
FROM ${BASE} AS build

RUN python3 -m venv /build/tools && python3 -m venv --without-pip /opt/wpsa

# The locked packages first: they change rarely, and then this layer is there already.
COPY config/requirements/build.txt config/requirements/run.txt /build/
RUN /build/tools/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /build/build.txt \
 && /build/tools/bin/pip --python /opt/wpsa/bin/python3 install --no-cache-dir --require-hashes --only-binary :all: \
        -r /build/run.txt

# The hub speaks one language: translations, and their sources, would be 20 MB that nobody reads.
COPY pyproject.toml README.md LICENSE /build/source/
COPY agent /build/source/agent
RUN /build/tools/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --no-index --wheel-dir /build /build/source \
 && /build/tools/bin/pip --python /opt/wpsa/bin/python3 install --no-cache-dir --no-deps --no-index /build/wp_structure_agent-*.whl \
 && find /opt/wpsa \( -name '*.po' -o -name '*.mo' \) -delete

# --- what runs -----------------------------------------------------------------------------------
FROM ${BASE}

ARG VERSION=0.1.0
# Of the commit that is built, where somebody knows it; the release names it.
ARG REVISION=
ARG BASE
LABEL org.opencontainers.image.title="wp-structure-agent" \
      org.opencontainers.image.description="Reads the post types and taxonomies of WordPress sites from outside and pushes them to a backend" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="https://github.com/wp-structure-agent/wp-structure-agent" \
      org.opencontainers.image.documentation="https://github.com/wp-structure-agent/wp-structure-agent#readme" \
      org.opencontainers.image.base.name="${BASE}" \
      org.opencontainers.image.licenses="MIT"

# No package manager of Python's, nothing that may be written to by everybody, nothing that lends its
# owner's rights; what is left for our user to write is the state alone.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.*/site-packages/pip* /usr/local/lib/python3.*/ensurepip \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
 && find / -xdev -type d -perm -0002 -exec chmod o-w {} + \
 && install -d -m 0700 -o 10001 -g 10001 /var/lib/wpsa

COPY --from=build /opt/wpsa /opt/wpsa

# The time zones are Python's package tzdata, locked like the rest: slim images have none of their own.
ENV PATH=/opt/wpsa/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/var/lib/wpsa \
    SQLITE_TMPDIR=/var/lib/wpsa \
    WPSA_STATE_DIR=/var/lib/wpsa

# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
# The operations endpoint and the embedded hub's page. Both listen on loopback until they are told otherwise.
EXPOSE 9464 8765
WORKDIR /var/lib/wpsa
VOLUME /var/lib/wpsa

# The daemon touches this file every 15 seconds. Isolated Python without site packages compares its age in
# some 13 ms of CPU; starting the command itself would burn half a second for ever. It judges the agent's own
# loop and nothing else: a site or a backend that is down is no reason to restart a healthy container.
HEALTHCHECK --interval=60s --timeout=5s --start-period=60s --retries=2 \
    CMD ["python3", "-I", "-S", "-c", "import os, sys, time; sys.exit(time.time() - os.stat(os.environ['WPSA_STATE_DIR'] + '/heartbeat').st_mtime > 120)"]

ENTRYPOINT ["wpsa"]
CMD ["run"]
