"""What tests against servers share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.loaders import JSONFileLoader  # type: ignore[import-untyped]


@pytest.fixture(scope="session", autouse=True)
def aws_described_once() -> Iterator[None]:
    """botocore reads its descriptions of AWS's services anew for each session, and the tests open hundreds of them."""
    read, known = JSONFileLoader._load_file, {}

    def once(loader: JSONFileLoader, path: str, opened: Any) -> Any:
        if path not in known:
            known[path] = read(loader, path, opened)
        return known[path]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "_load_file", once)
        yield
