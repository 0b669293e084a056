"""What the refusal of a conditional write means: somebody has changed the object, the store has no conditions, or else.

Stores refuse such a write for other reasons with the same statuses: a lease, a policy, a bucket that is gone. These are
errors as for any other write.
"""

from __future__ import annotations

from enum import Enum, auto

from obstore import exceptions as obstore_errors

from learnosity.storage.error_codes import Verdict, judge
from learnosity.storage.errors import code_of, is_web_page, reply_in, status_of


class Refused(Enum):
    """Why a store refuses a conditional write."""

    CHANGED = auto()  # the condition is not met; for example, the write should create the object, but it exists already
    UNKNOWN = auto()  # the store does not support conditional writes
    ELSE = auto()


# S3's error code if another request changes the object at the same moment. `judge` takes it for a temporary error. But
# for a conditional write, it means that the condition is not met.
_CHANGED = "ConditionalRequestConflict"


def why_refused(status: int, code: str, body: str = "", *, creates: bool) -> Refused:
    """What the refusal of a conditional write means.

    :param status: HTTP status; 0 = unknown.
    :param code: error code in the reply; "" = none.
    :param body: of the reply, or a text that has it.
    :param creates: whether the condition was that there is no object. Then nothing can be missing but the bucket.
    """
    if status == 501 or code == "NotImplemented":
        return Refused.UNKNOWN
    if status == 404:
        changed = not creates and judge(status, code).verdict is Verdict.MISSING and not is_web_page(body)
    else:
        # If the condition is not met, the store replies with status 409 or 412, and often with a code that `judge` does
        # not know, such as `ConcurrentModification` of Ceph. A code that `judge` knows has another meaning, such as a
        # lease of somebody else. So an unknown code counts as CHANGED, but no known code except `_CHANGED`.
        changed = status in (409, 412) and (code == _CHANGED or judge(status, code) == judge(status))
    return Refused.CHANGED if changed else Refused.ELSE


def why_refused_by_obstore(error: Exception, where: str, *, local: bool, creates: bool) -> Refused:
    """The same for an error of obstore.

    :param where: the object's URI.
    :param local: whether it is an error of a file system, which has no reply.
    """
    reply = "" if local else reply_in(str(error), where)
    # Without an HTTP status, as in an error of a file system, the type of the error decides.
    if not status_of(reply):
        if isinstance(error, obstore_errors.AlreadyExistsError | obstore_errors.PreconditionError):
            return Refused.CHANGED
        # `local and creates`: a file is to be created only if none is there. For this, obstore makes a hard link. Many
        # mounted buckets and network drives have no hard links, and each kind raises another error. So every error here
        # counts as UNKNOWN, and the caller writes again without a condition. If the error has another cause, the second
        # write fails, too.
        return Refused.UNKNOWN if local and creates else Refused.ELSE
    return why_refused(status_of(reply), code_of(reply), reply, creates=creates)
