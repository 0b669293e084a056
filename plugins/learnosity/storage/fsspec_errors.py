"""Turns an error of an fsspec driver, or of the library behind it, into an error of this package."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from learnosity.errors import LearnosityError, StorageError, TransientStorageError
from learnosity.storage.error_codes import cause_in_file_system
from learnosity.storage.errors import first_line
from learnosity.storage.fsspec_rename import is_missing

# Error numbers of the operating system for problems that a retry does not solve.
_FINAL = (errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EROFS)
# An error of smbprotocol for missing rights is no `PermissionError`. It has this NT status (STATUS_ACCESS_DENIED), or
# the number EACCES. `_lacks_rights` does not look for the number EPERM: in an error of smbprotocol, it means that
# somebody else has the file open, so a retry can help.
_NT_DENIED = 0xC0000022
_SAYS_DENIED = re.compile(r"\bSTATUS_ACCESS_DENIED\b")
# Names of error classes of the libraries paramiko, asyncssh and smbprotocol. They are compared by name, because it is
# possible that a library is not installed. An error of a class in `_REFUSED` always means that the server's host key
# could not be confirmed, or that the login is wrong.
_REFUSED = {"BadHostKeyException", "HostKeyNotVerifiable", "PermissionDenied"}
# An error of a class in `_LOGIN` means that the login is wrong. If its text matches `_CUT_OFF`, the connection was lost
# instead. A word next to `.`, `-` or `@` does not count, because it is a part of the name of a host or user.
_LOGIN = {"AuthenticationException", "LogonFailure", "SMBAuthenticationError"}
_CUT_OFF = re.compile(
    r"(?<![\w.@-])(time.?out|timed out|shut down|(?-i:EOF(Error)?)|reset|lost|closed)(?![\w@-]|\.\w)", re.IGNORECASE
)


@contextmanager
def driver_errors(uri: str) -> Iterator[None]:
    """Errors of a driver as those of the package. What is not there is always a `FileNotFoundError`.

    :param uri: of the store, for messages.
    """
    try:
        yield
    except (FileNotFoundError, LearnosityError):
        raise
    except OSError as error:
        if is_missing(error):
            raise FileNotFoundError(*error.args) from None
        if _lacks_rights(error):
            raise _no_permission(uri) from None
        if error.errno not in _FINAL:
            raise TransientStorageError(f"{uri}: {first_line(error)}") from None
        cause = cause_in_file_system(error, os.strerror(error.errno))
        raise StorageError(f"{uri}: {cause.what}. {cause.advice} ({first_line(error)})") from None
    except NotImplementedError as error:
        raise StorageError(f"{uri}: the storage driver cannot do this ({first_line(error)}).") from None
    except Exception as error:
        if _lacks_rights(error):
            raise _no_permission(uri) from None
        # If the connection is lost, each library raises its own type of error, such as EOFError or SSHException. These
        # types are not all known here. So every error that comes here counts as temporary, unless it refuses the login.
        said = ": ".join(dict.fromkeys((type(error).__name__, first_line(error))))
        if _refuses_login(error):
            raise StorageError(
                f"{uri}: the server refuses the login ({said}). Check the connection named in the URI."
            ) from None
        raise TransientStorageError(f"{uri}: {said}. Check the connection named in the URI if this goes on.") from None


def _no_permission(uri: str) -> StorageError:
    return StorageError(f"No permission on {uri}. Check the connection named in the URI.")


def _lacks_rights(error: Exception) -> bool:
    """Whether an error says that a right is missing."""
    if isinstance(error, PermissionError) or (isinstance(error, OSError) and error.errno == errno.EACCES):
        return True
    return getattr(error, "ntstatus", None) == _NT_DENIED or _SAYS_DENIED.search(str(error)) is not None


def _refuses_login(error: BaseException) -> bool:
    """Whether an error says that the login is wrong. paramiko has the same class for a connection that was cut off."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return not names.isdisjoint(_REFUSED) or (not names.isdisjoint(_LOGIN) and not _CUT_OFF.search(str(error)))
