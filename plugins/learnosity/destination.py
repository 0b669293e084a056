"""Where datasets land, and which places a run may name. `create_dataset` decides both once, at run time."""

from __future__ import annotations

from learnosity.errors import RequestError
from learnosity.lookups import afind_variable
from learnosity.run_config import DESTINATION_VARIABLE
from learnosity.storage.allowed_uris import ALLOWED_VARIABLE, AllowedUris


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


async def check_places(input_uri: str | None, destination_uri: object) -> AllowedUris:
    """Check that a run may use the places that its run config names.

    :param input_uri: None = no input files.
    :param destination_uri: None and "" = the default destination, which is always allowed.
    :returns: what is allowed, for the files that are found at `input_uri`.
    :raises RequestError: a place is not allowed (`storage.allowed_uris`).
    :raises LookupFailedError: the Variables that say what is allowed could not be read.
    """
    allowed = AllowedUris.of(await afind_variable(ALLOWED_VARIABLE), await afind_variable(DESTINATION_VARIABLE))
    if input_uri is not None:
        allowed.check_read(input_uri)
    if destination := str(destination_uri or "").strip():
        allowed.check_write(destination)
    return allowed
