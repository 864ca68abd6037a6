"""`/v1/models/downloads`: models that come from a hub."""

from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import BaseModel, ConfigDict, Field

from inference.downloads.models import Download as Row


class DownloadRequest(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    repository: Annotated[str, Field(description="Its id at the hub, owner/name, or the address of its page.")]
    revision: Annotated[str | None, Field(description="A branch, a tag or a commit. Absent: main.")] = None


class DownloadError(Schema):
    code: str
    message: str


class Download(Schema):
    """What it is of a repository that becomes the model of the same name."""

    id: int
    object: Literal["model.download"] = "model.download"
    repository: str
    revision: str
    commit: str | None
    status: Literal["queued", "running", "completed", "failed", "cancelled"]
    bytes_done: int
    bytes_total: Annotated[int | None, Field(description="null until the hub has said it.")]
    bytes_per_second: float
    eta_seconds: float | None
    error: DownloadError | None
    created_at: int
    completed_at: int | None

    @classmethod
    def of(cls, row: Row) -> "Download":
        state: Any = row.state
        return cls.model_construct(
            id=row.pk,
            repository=row.repository,
            revision=row.revision,
            commit=row.commit or None,
            status=state,
            bytes_done=row.bytes_done,
            bytes_total=row.bytes_total or None,
            bytes_per_second=row.bytes_per_second,
            eta_seconds=row.eta_seconds,
            error=DownloadError(code=row.error_code, message=row.error_message) if row.error_code else None,
            created_at=int(row.created_at.timestamp()),
            completed_at=int(row.completed_at.timestamp()) if row.completed_at else None,
        )


class DownloadList(Schema):
    object: Literal["list"] = "list"
    data: list[Download]


class DownloadDeleted(Schema):
    id: int
    object: Literal["model.download.deleted"] = "model.download.deleted"
    deleted: bool = True
