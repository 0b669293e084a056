"""Pin the images of docker-compose.yaml in `.env` by digest: what their registries have under their tags now.

A tag can be moved to other content, a digest cannot. `make digests` writes `NAME=image:tag@sha256:…` for each image.
Run it again for newer content of the same tags. An image with a digest and no tag stays as it is. It needs nothing but
Python, and no account: it reads as anybody may.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from compose.env import TEMPLATE, settings

COMPOSE = TEMPLATE.with_name("docker-compose.yaml")
HUB = "registry-1.docker.io"
KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
SECONDS = 30.0
_LARGEST = 4 * 1024 * 1024
# Finds the images in docker-compose.yaml that have a default with a tag, such as
# `${POSTGRES_IMAGE:-postgres:17-trixie}`. Images that are built here have no such default.
_IMAGE = re.compile(r"\$\{([A-Z0-9_]+_IMAGE):-([^}$]+)\}")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class NotPinnedError(Exception):
    """The digest of an image is not known. The message names the image and why."""


def images(compose: str, given: Mapping[str, str]) -> dict[str, str]:
    """The images that are not built here, by their variable: what `.env` names, else the default.

    The digest of an image with a tag is cut off: it is asked for anew. One without a tag has nothing else to go by.

    :param compose: text of docker-compose.yaml
    :param given: the settings of `.env`
    """
    found = {name: given.get(name) or default for name, default in _IMAGE.findall(compose)}
    return {name: image if _has_no_tag(image) else image.partition("@")[0] for name, image in sorted(found.items())}


def _has_no_tag(image: str) -> bool:
    """Whether a digest alone says which image it is."""
    name, at, _ = image.partition("@")
    return bool(at) and ":" not in name.rpartition("/")[2]


def digest_of(image: str) -> str:
    """The digest of an image: the SHA-256 of what its registry lists under the tag.

    :param image: such as `postgres:17-trixie` or `mirror.example.com/postgres:17-trixie`; no tag is `latest`
    :raises NotPinnedError: the registry cannot be reached, has no such image, or does not answer with what it says
    """
    host, name, tag = _parts(image)
    url = f"{'http' if _is_here(host) else 'https'}://{host}/v2/{name}/manifests/{tag}"
    try:
        said, content = _get(url, _accept())
    except HTTPError as error:
        if error.code != 401:
            raise NotPinnedError(f"{image}: its registry answers {error.code}.") from None
        said, content = _with_token(image, url, error.headers.get("WWW-Authenticate", ""))
    except (URLError, OSError, ValueError, HTTPException) as error:
        raise NotPinnedError(f"{image}: its registry cannot be reached ({type(error).__name__}).") from None
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if said not in ("", digest):
        raise NotPinnedError(f"{image}: the registry sent other content than it says.")
    return digest


def pinned(env: str, digests: Mapping[str, str]) -> str:
    """The text of `.env` with the images pinned; all other lines stay as they are. Of equal names the last counts.

    :param digests: image with its digest, by variable
    """
    left, lines = dict(digests), []
    for line in reversed(env.splitlines()):
        name = next(iter(settings(line)), "")
        lines.append(f"{name}={left.pop(name)}" if name in left else line)
    return "\n".join([*reversed(lines), *(f"{name}={image}" for name, image in left.items()), ""])


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 when every image is pinned. Nothing is written unless all are."""
    parser = argparse.ArgumentParser(prog="python -m compose.digests", description="Pin images by digest in .env.")
    parser.add_argument("--env", type=Path, default=TEMPLATE.with_name(".env"), help="default: %(default)s")
    path: Path = parser.parse_args(arguments).env
    if not path.exists():
        sys.stderr.write(f"{path} is not there: make compose-env writes it.\n")
        return 1
    text = path.read_text()
    try:
        wanted = images(COMPOSE.read_text(), settings(text))
        found = {name: f"{image}@{digest_of(image)}" for name, image in wanted.items() if not _has_no_tag(image)}
    except NotPinnedError as error:
        sys.stderr.write(f"{error} Nothing was changed in {path}.\n")
        return 1
    _write(path, pinned(text, found))
    for name, image in wanted.items():
        kept = f"{name}={image} stays as it is: it has a digest and no tag"
        sys.stdout.write(f"{name}={found[name]}\n" if name in found else f"{kept}\n")
    return 0


def _write(path: Path, text: str) -> None:
    """Replace the file, readable by its owner alone: it holds keys."""
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    new.replace(path)


def _parts(image: str) -> tuple[str, str, str]:
    """Registry, name and tag. A first part with a dot or a port, or `localhost`, is a registry; else Docker Hub is."""
    first, slash, rest = image.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    host, name = (first, rest) if is_host else (HUB, image)
    name, _, tag = name.partition(":")
    if host in (HUB, "docker.io"):
        host, name = HUB, name if "/" in name else f"library/{name}"
    return host, name, tag or "latest"


def _is_here(host: str) -> bool:
    return host.partition(":")[0] in ("localhost", "127.0.0.1")


def _accept() -> dict[str, str]:
    return {"Accept": ", ".join(KINDS)}


def _with_token(image: str, url: str, challenge: str) -> tuple[str, bytes]:
    """Ask again with a token for anybody, which the registry told where to fetch."""
    said = dict(_CHALLENGE.findall(challenge))
    realm = said.get("realm", "")
    try:
        parts = urlsplit(realm)
        if parts.scheme != "https" and not _is_here(parts.netloc):
            raise NotPinnedError(f"{image}: its registry wants a login of another kind.")
        query = urlencode({key: said[key] for key in ("service", "scope") if key in said})
        reply: Any = json.loads(_get(f"{realm}?{query}", {})[1])
        token = reply.get("token") or reply.get("access_token")
        return _get(url, _accept() | {"Authorization": f"Bearer {token}"})
    except (HTTPError, URLError, OSError, ValueError, AttributeError, HTTPException) as error:
        raise NotPinnedError(f"{image}: its registry does not show it to anybody ({type(error).__name__}).") from None


class _NoRedirects(HTTPRedirectHandler):
    """A token must not follow to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _get(url: str, headers: Mapping[str, str]) -> tuple[str, bytes]:
    """The digest that a registry names, and the content."""
    handlers = [_NoRedirects(), *([ProxyHandler({})] if _is_here(urlsplit(url).netloc) else [])]
    with build_opener(*handlers).open(Request(url, headers=dict(headers)), timeout=SECONDS) as reply:
        content = reply.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ValueError("too large")
        return reply.headers.get("Docker-Content-Digest", ""), content


if __name__ == "__main__":
    sys.exit(main())
