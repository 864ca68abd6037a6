"""What may go wrong, as the client sees it. Each app adds its own kinds in its `errors.py`."""


class FmlxError(Exception):
    """An error with a place on the wire: HTTP status, OpenAI's `type` and `code`, and the field it is about."""

    status: int = 500
    type: str = "server_error"
    code: str | None = None

    def __init__(self, message: str, *, param: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.message, self.param, self.retry_after = message, param, retry_after


class InvalidRequest(FmlxError):
    status, type, code = 400, "invalid_request_error", "invalid_value"


class Unauthorized(FmlxError):
    status, type, code = 401, "authentication_error", "invalid_api_key"


class Forbidden(FmlxError):
    status, type, code = 403, "permission_error", "missing_scope"


class NotFound(FmlxError):
    status, type, code = 404, "invalid_request_error", "not_found"


class BodyTooSlow(FmlxError):
    status, type, code = 408, "invalid_request_error", "request_timeout"


class Conflict(FmlxError):
    status, type, code = 409, "invalid_request_error", "conflict"


class BodyTooLarge(FmlxError):
    status, type, code = 413, "invalid_request_error", "request_too_large"


class UnsupportedMediaType(FmlxError):
    status, type, code = 415, "invalid_request_error", "unsupported_media_type"


class TooMany(FmlxError):
    status, type, code = 429, "rate_limit_error", "queue_full"


class Unavailable(FmlxError):
    status, type, code = 503, "server_error", "unavailable"


class DiskFull(FmlxError):
    status, type, code = 507, "server_error", "disk_full"
