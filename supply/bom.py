"""A bill of materials in the form of CycloneDX 1.6, and the licences, from the metadata of what is installed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import Distribution, PackageMetadata, PackageNotFoundError, distribution
from typing import Any

from supply.pins import Pin, canonical

UNKNOWN = "unknown"
NOT_INSTALLED = "not installed here"
_LICENSE = "License :: "
# Licences that a person has looked up, in the package's file LICENSE or on the index: the metadata of these packages
# name no licence, or the packages are for other platforms, so that they are not installed here and cannot be read.
LOOKED_UP = {
    "openlineage-sql": "Apache-2.0",
    "async-timeout": "Apache-2.0",
    "httpx2-jsfetch": "BSD-3-Clause",
    "pyyaml-ft": "MIT",
}


def components(pins: Sequence[Pin]) -> list[dict[str, Any]]:
    """The components of the bill, by name."""
    return [_component(pin) for pin in sorted(pins, key=lambda each: (each.name, each.version))]


def bill(pins: Sequence[Pin], name: str, version: str, made: str) -> dict[str, Any]:
    """The bill of a product.

    :param made: the time in ISO 8601.
    """
    versions = {pin.name: pin for pin in pins}
    root = f"pkg:pypi/{name}@{version}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": made,
            "component": {"type": "library", "bom-ref": root, "name": name, "version": version, "purl": root},
        },
        "components": components(pins),
        "dependencies": [
            {"ref": root, "dependsOn": sorted(purl(pin) for pin in pins)},
            *({"ref": purl(pin), "dependsOn": _needs(pin, versions)} for pin in sorted(pins, key=purl)),
        ],
    }


def licence(pin: Pin) -> str:
    """The licence that a package declares: an expression of SPDX, the words of its author, or those of its file.

    Of a version for another Python, it is what the installed version declares, and names that version.
    """
    found = _any_version(pin)
    if found is None:
        return LOOKED_UP.get(pin.name, NOT_INSTALLED)
    declared = _declared(found) or LOOKED_UP.get(pin.name, "")
    if not declared:
        return UNKNOWN
    return declared if found.version == pin.version else f"{declared} (as {found.version} declares)"


def _declared(found: Distribution) -> str:
    metadata = found.metadata
    if expression := _field(metadata, "License-Expression"):
        return expression
    classified = [
        str(each).rpartition(" :: ")[2]
        for each in metadata.get_all("Classifier") or ()
        if str(each).startswith(_LICENSE) and str(each) != "License :: OSI Approved"
    ]
    if classified:
        return " / ".join(sorted(set(classified)))
    words = _field(metadata, "License").splitlines()
    if words and words[0]:
        return words[0][:100]
    return _of_file(found)


def _of_file(found: Distribution) -> str:
    """The heading of its licence file, such as `MIT License`; "" = it has none."""
    for name in found.metadata.get_all("License-File") or ():
        text = found.read_text(f"licenses/{name}") or found.read_text(str(name)) or ""
        heading = " ".join(line.strip() for line in text.strip().splitlines()[:2])
        if match := re.match(r".{0,60}?\b(?:License|Licence|LICENSE)\b(?:,? Version [0-9.]+)?", heading):
            return match[0]
    return ""


def purl(pin: Pin) -> str:
    """The address of a package in a bill."""
    return f"pkg:pypi/{pin.name}@{pin.version}"


def _component(pin: Pin) -> dict[str, Any]:
    said = licence(pin)
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl(pin),
        "name": pin.name,
        "version": pin.version,
        "purl": purl(pin),
    }
    if said not in (UNKNOWN, NOT_INSTALLED):
        found = _installed(pin)
        is_expression = found is not None and bool(_field(found.metadata, "License-Expression"))
        component["licenses"] = [{"expression": said} if is_expression else {"license": {"name": said}}]
    return component


def _field(metadata: PackageMetadata, name: str) -> str:
    """The first value of a field; "" = it has none."""
    return str(metadata[name] or "").strip() if name in metadata else ""


def _needs(pin: Pin, versions: dict[str, Pin]) -> list[str]:
    found = _installed(pin)
    names = (
        {canonical(re.split(r"[^A-Za-z0-9._-]", each, maxsplit=1)[0]) for each in (found.requires or ())}
        if found
        else set()
    )
    return sorted(purl(versions[name]) for name in names if name in versions and name != pin.name)


def _installed(pin: Pin) -> Distribution | None:
    """The package, if this very version is installed."""
    found = _any_version(pin)
    return found if found is not None and found.version == pin.version else None


def _any_version(pin: Pin) -> Distribution | None:
    try:
        return distribution(pin.name)
    except PackageNotFoundError:
        return None
