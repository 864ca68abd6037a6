"""Configuration from the environment, typed. Mistakes are kept for the system checks to report, all at once."""

import socket
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

GIB = 1024**3


def _paths(value: Any) -> Any:
    """Several folders in one variable, separated as in PATH."""
    return [Path(part).expanduser() for part in value.split(":") if part] if isinstance(value, str) else value


def _expanded(value: Any) -> Any:
    return Path(value).expanduser().absolute() if isinstance(value, str) else value


Folder = Annotated[Path, BeforeValidator(_expanded)]
Folders = Annotated[list[Path], NoDecode, BeforeValidator(_paths)]


class Environment(BaseSettings):
    """Every setting a process of fmlx reads from its environment. Sizes are bytes, times are seconds."""

    model_config = SettingsConfigDict(env_prefix="FMLX_", env_ignore_empty=True, populate_by_name=True)

    home: Folder = Path("~/.fmlx").expanduser()
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    model_dirs: Folders = []
    database_url: str = Field("", validation_alias="DATABASE_URL")
    redis_url: str = Field("", validation_alias="REDIS_URL")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    site_processes: int = Field(1, ge=1)
    allowed_hosts: str = "127.0.0.1,localhost,[::1]"
    admin_password: str = ""
    api_key: str = ""
    anonymous_access: Literal["off", "loopback"] = "off"
    cors_origins: str = ""
    node_name: str = Field(default_factory=socket.gethostname, max_length=100, pattern=r"^[\w.-]+$")

    memory_tier: Literal["safe", "balanced", "aggressive", "custom"] = "balanced"
    memory_reserve_bytes: int = Field(8 * GIB, ge=0)
    memory_tolerance_bytes: int = Field(256 * 1024**2, ge=0)
    memory_tolerance_share: float = Field(0.05, ge=0, le=1)

    body_max_bytes: int = Field(32 * 1024**2, ge=1024)
    disk_floor_bytes: int = Field(2 * GIB, ge=0)
    cache_bytes: int = Field(20 * 10**9, ge=0)  # of the prefix cache on disk; 0: it is kept in memory only

    fallback_model: str = ""  # serves prompts that name a model which is not here; empty: they are refused
    engine_idle_seconds: float = Field(0.0, ge=0)  # 0: until its memory is needed
    engine_work_bytes: int = Field(512 * 1024**2, ge=0)  # beside its weights, when it is loaded; it grows with use
    engine_patience_seconds: float = Field(30.0, ge=0)  # a request that does not fit now waits so long to be refused

    video_workers: int = Field(1, ge=1, le=64)
    video_max_queued: int = Field(1000, ge=1)
    video_max_pixels: int = Field(1280 * 720, ge=256)
    video_max_frames: int = Field(241, ge=1)
    video_max_steps: int = Field(100, ge=1)
    video_attempts: int = Field(3, ge=1)
    video_backoff_seconds: float = Field(5.0, ge=0)
    video_timeout_seconds: float = Field(4 * 3600.0, gt=0)
    video_stall_seconds: float = Field(600.0, gt=0)
    video_extend_prompt: Literal["off", "on"] = "off"
    video_extend_model: str = ""  # empty: the chat model that is asked when none is named
    video_overtakes: int = Field(8, ge=0)
    video_keep_count: int = Field(500, ge=0)
    video_keep_bytes: int = Field(50 * GIB, ge=0)
    video_keep_seconds: float = Field(30 * 86400.0, gt=0)
    video_keep_frames: bool = False
    video_steps_bytes: int = Field(10 * GIB, ge=0)
    video_staged: bool = False
    video_low_ram: bool = True
    video_idle_seconds: float = Field(300.0, ge=0)  # 0: a generator ends with its job
    video_checkpoint_steps: int = Field(5, ge=2)
    video_checkpoint_seconds: float = Field(30.0, gt=0)

    input_max_bytes: int = Field(20 * 1024**2, ge=1024)
    input_max_pixels: int = Field(50_000_000, ge=256)
    files_key_bytes: int = Field(GIB, ge=0)
    files_bytes: int = Field(10 * GIB, ge=0)
    files_keep_seconds: float = Field(30 * 86400.0, ge=3600)

    hub_endpoint: str = Field(
        "https://huggingface.co", pattern=r"^https?://[^\s/@]+"
    )  # where models are downloaded from: the hub itself, or a mirror of it
    hub_disable_xet: bool = False  # plain HTTP, which goes on in the middle of a file; Xet takes that file anew
    hub_token: SecretStr = Field(SecretStr(""), validation_alias="HF_TOKEN")

    webhook_timeout_seconds: float = Field(15.0, gt=0)
    webhook_backoff_seconds: float = Field(5.0, ge=0)  # doubles with each further try, up to 4 hours
    webhook_try_seconds: float = Field(3 * 86400.0, ge=0)

    @property
    def artifacts(self) -> Path:
        return self.home / "artifacts"

    @property
    def steps(self) -> Path:
        """What steps of video jobs hand on, on the same file system as `work`."""
        return self.home / "steps"

    @property
    def files(self) -> Path:
        """What keys uploaded, on the same file system as `work`."""
        return self.home / "files"

    @property
    def previews(self) -> Path:
        """What is known of how each VAE's latents look."""
        return self.home / "previews"

    @property
    def work(self) -> Path:
        return self.home / "work"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def cache(self) -> Path:
        """Blocks of the prefix cache."""
        return self.home / "cache"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def runtimes(self) -> Path:
        return self.home / "runtimes"

    @property
    def models(self) -> list[Path]:
        """The folders searched for models: the house's own first."""
        return [self.home / "models", *self.model_dirs]


def read_environment() -> tuple[Environment, list[str]]:
    """The configuration, and a sentence for each variable that could not be understood (its default is used)."""
    try:
        return Environment(), []
    except ValidationError as error:
        broken = {str(part["loc"][0]): part for part in error.errors()}
    problems = [f"{_variable(name)}={part['input']!r} is not usable: {part['msg']}." for name, part in broken.items()]
    defaults = {name: Environment.model_fields[_field(name)].get_default(call_default_factory=True) for name in broken}
    return Environment(**{_field(name): value for name, value in defaults.items()}), problems


def _field(location: str) -> str:
    return location.removeprefix("FMLX_").lower()


def _variable(location: str) -> str:
    name = _field(location).upper()
    return name if name in ("DATABASE_URL", "REDIS_URL") else f"FMLX_{name}"
