# Replaces valkey/valkey on a machine that reaches no image registry: same user, data folder and commands.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN groupadd --gid 999 valkey && useradd --uid 999 --gid 999 --home-dir /data valkey \
 && apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends valkey-server valkey-tools > /dev/null \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o valkey -g valkey /data
WORKDIR /data
CMD ["valkey-server"]
