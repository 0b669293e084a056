"""Where datasets land. `create_dataset` decides it once, at run time, and hands it on in its XCom."""

from __future__ import annotations

from learnosity.errors import RequestError
from learnosity.lookups import afind_variable
from learnosity.run_config import DESTINATION_VARIABLE


async def resolve_destination(given: object) -> str:
    """The destination of a run: what its run config says, else what the Airflow Variable says.

    :param given: `destination_uri` of the run config; None and "" = the Variable `learnosity_destination_uri`.
    :raises RequestError: neither names a destination.
    :raises LookupFailedError: the Variable could not be read, so the destination is not known.
    """
    if text := str(given or "").strip():
        return text
    if text := (await afind_variable(DESTINATION_VARIABLE) or "").strip():
        return text
    raise RequestError(
        f"No destination: destination_uri is empty, and the Airflow Variable {DESTINATION_VARIABLE} is not set. "
        "Set the Variable under Admin → Variables, or name a destination such as s3://connection@bucket/datasets."
    )
