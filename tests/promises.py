"""The promises of the design's rules (sections 4.3 and 4.4); a test that proves one names it: `pytest.mark.promise`."""

from __future__ import annotations

from typing import Final

PROMISES: Final = {
    "whole or nothing": "The manifest is written last: its presence means that the dataset is complete.",
    "no blind SET": "A SET is never repeated blindly.",
    "re-attach": "A retry, a clear or a worker crash re-attaches to the job that already runs.",
    "decided once": "Where data go is decided once and said aloud. A setting that cannot be read is an error, never a "
    "default.",
    "small values": "Between tasks travel only small values: ids, counts, URIs.",
    "no secret": "Signed URLs, signatures and the secret appear in no log, XCom, rendered field, trigger row, "
    "exception or manifest.",
    "untrusted names": "Names that the API gives to files are untrusted: what could do harm is refused with a clear "
    "error before anything is written.",
    "advice": "Errors say what to do next.",
    "permanent at once": "A permanent error fails at once, without retries.",
    "transient with backoff": "A transient error is retried with backoff inside the task first.",
    "bounded memory": "Memory stays bounded whatever the size of the input, of a file or of the dataset.",
}
