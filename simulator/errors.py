"""The application errors of the Data API: code, HTTP status and message (docs/learnosity-api.md, "Replies and errors").

Code that finds an error raises `ApiError` with a code of the table. The HTTP status is not written anywhere else.
"""

from __future__ import annotations

from typing import Final

ERRORS: Final[dict[int, tuple[int, str]]] = {
    10000: (500, "Internal error"),
    20000: (400, "Missing mandatory parameter"),
    20001: (400, "Invalid parameter length"),
    20002: (400, "Too many parameters"),
    20003: (400, "Invalid parameter type"),
    20004: (400, "Invalid parameter value"),
    20009: (400, "JSON failed schema validation"),
    20011: (409, "Conflict"),
    20012: (404, "Not found"),
    20027: (400, "Response size too large"),
    30000: (400, "Duplicate entry in database"),
    40000: (400, "Access denied"),
    40001: (405, "Method not allowed"),
    40002: (403, "Consumer not associated with an organisation"),
    40003: (403, "Insufficient rights to this organisation"),
    41000: (400, "Missing security parameters"),
    41001: (403, "Invalid parameter length"),
    41002: (403, "Not a valid consumer"),
    41003: (403, "Signatures do not match. Check that the browser's hostname is the signed domain"),
    41004: (403, "Timestamp out of valid range"),
    41005: (403, "Invalid domain"),
    41006: (400, "Expires is not in the format YYYYMMDD-HHMM"),
    41007: (400, "Request made after it expired"),
    41008: (403, "Service disabled"),
    41009: (403, "Consumer inactive"),
    42000: (429, "Too many requests"),
    42001: (410, "Endpoint no longer available"),
    43000: (400, "Version below the minimum of this consumer"),
    44000: (400, "Unrecognised dataset_type"),
    50000: (400, "Report dataset is missing some required data"),
    50100: (500, "An error occurred"),
}


class ApiError(Exception):
    """A refusal in the shape of the Data API.

    :param code: a key of `ERRORS`.
    :param detail: what exactly is wrong; added to the message of the table.
    """

    def __init__(self, code: int, detail: str = "") -> None:
        self.code = code
        self.status, message = ERRORS[code]
        # Without a detail, the message is exactly that of the table, as in Learnosity's documentation.
        self.message = f"{message}: {detail}" if detail else message
        super().__init__(f"{code}: {self.message}")
