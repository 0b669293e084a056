"""Packages that only some deployments need. An extra installs them: `pip install 'airflow-provider-learnosity[s3]'`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from learnosity.errors import MissingExtraError


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Says which extra to install when an import in the `with` block finds no package.

    :param extra: name of the extra in pyproject.toml.
    :param what: what needs it, for the message.
    :raises MissingExtraError: a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{what} needs the package {error.name!r}, which is not installed here. Install it on every worker and on "
            f"the API server: pip install 'airflow-provider-learnosity[{extra}]'."
        ) from error
