"""The driver of fsspec for a URI, which Airflow makes from the connection in it; or why there is none."""

from __future__ import annotations

import re
from typing import Any

from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowNotFoundException

from learnosity.errors import ConnectionConfigError, LearnosityError, TransientStorageError
from learnosity.lookups import find_connection
from learnosity.storage.errors import first_line

# Finds the id of the connection (group 1) in Airflow's error about a missing connection.
_CONNECTION_ID = re.compile(r"conn_id `([^`]+)`")
# Texts in the TypeError that Python raises if the fields of a connection do not fit the arguments of the driver.
_WRONG_ARGUMENTS = re.compile(r"unexpected keyword argument|missing \d+ required|takes \d+ positional argument")


class NoDriverError(LearnosityError):
    """Airflow has no driver for a scheme, or a package of it is missing."""


def driver_of(path: ObjectStoragePath, shown: str) -> Any:
    """The driver. Errors of the library behind it are raised as they are.

    :param shown: the URI, for messages.
    :raises NoDriverError: there is none.
    :raises ConnectionConfigError: a connection that it asks for does not exist, or does not fit it.
    """
    try:
        return path.fs
    except AirflowNotFoundException as error:
        raise _missing_connection(shown, error) from None
    except TypeError as error:
        if not _WRONG_ARGUMENTS.search(str(error)):
            raise
        raise ConnectionConfigError(
            f"The storage driver of {shown} cannot be made from its connection: {first_line(error)}. Name a connection "
            "before the @ of the URI, and check its host and extra."
        ) from None
    except ImportError as error:
        raise NoDriverError(first_line(error)) from None
    except ValueError as error:
        # `No filesystem registered` is what Airflow writes if there is no driver. A driver itself may raise a
        # ValueError for another reason: the driver of SMB does so if it cannot connect.
        if "No filesystem registered" in str(error):
            raise NoDriverError(first_line(error)) from None
        raise


def _missing_connection(shown: str, error: AirflowNotFoundException) -> LearnosityError:
    """The error for a connection that a driver did not find. Airflow says so, too, if a secrets backend is down.

    :raises LookupFailedError: a secrets backend is down.
    """
    if (named := _CONNECTION_ID.search(str(error))) and find_connection(named[1]) is not None:
        return TransientStorageError(f"{shown}: {first_line(error)}. It was there a moment later.")
    return ConnectionConfigError(
        f"{shown}: {first_line(error)}. Add it in Airflow under Admin → Connections, or name another one before the @ "
        "of the URI."
    )
