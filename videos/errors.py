"""What the video part refuses, each with its place on the wire."""

from fmlx_site.errors import BodyTooLarge, Conflict, InvalidRequest, NotFound


class VideoNotFound(NotFound):
    code = "video_not_found"

    def __init__(self, video_id: str, param: str = "video_id") -> None:
        super().__init__(f"No video with the id {video_id!r} belongs to this key.", param=param)


class FileNotFound(NotFound):
    code = "file_not_found"

    def __init__(self, file_id: str, param: str = "file_id") -> None:
        super().__init__(f"No file with the id {file_id[:80]!r} belongs to this key.", param=param)


class InputRefused(InvalidRequest):
    code = "input_invalid"


class QuotaExceeded(BodyTooLarge):
    code = "file_quota_exceeded"


class Unsupported(InvalidRequest):
    code = "unsupported"


class InputGone(NotFound):
    code = "input_expired"


class BatchNotFound(NotFound):
    code = "batch_not_found"

    def __init__(self, batch_id: str, param: str = "batch_id") -> None:
        super().__init__(f"No batch with the id {batch_id!r} belongs to this key.", param=param)


class NotReady(Conflict):
    code = "video_not_ready"


class NoPreview(NotFound):
    code = "preview_not_found"


class ArtifactExpired(NotFound):
    code = "artifact_expired"


class IdempotencyConflict(Conflict):
    code = "idempotency_key_reused"


class AlreadyFinished(Conflict):
    code = "video_already_finished"


class FenceLost(Exception):
    """The job was given to somebody else, cancelled or deleted: whoever held it must let go."""
