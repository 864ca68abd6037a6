"""What the video part refuses, each with its place on the wire."""

from fmlx_site.errors import Conflict, NotFound


class VideoNotFound(NotFound):
    code = "video_not_found"

    def __init__(self, video_id: str) -> None:
        super().__init__(f"No video with the id {video_id!r} belongs to this key.", param="video_id")


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
