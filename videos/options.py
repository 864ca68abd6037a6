"""What can be set about videos: how many at once, how large, how often tried, and how long they are kept."""

from django.utils.translation import gettext_lazy as _

from fmlx_site.options import Group, Option
from fmlx_site.units import DAYS, IN_GIB, IN_MIB, MINUTES, PIXELS, SECONDS

VIDEOS = Group("videos", _("Videos"), _("How many at once, how large, how often they are tried, how long kept."), 30)
YEAR = 366 * 86_400.0

WORKERS = Option[int](
    "video_workers",
    VIDEOS,
    _("At once"),
    _("So many are made at once, if memory allows."),
    least=1,
    most=64,
)
OVERTAKES = Option[int](
    "video_overtakes",
    VIDEOS,
    _("Overtaken at most"),
    _("So many smaller videos may go before one that does not fit now; then all wait for it."),
    least=0,
    most=1000,
)
MAX_QUEUED = Option[int](
    "video_max_queued",
    VIDEOS,
    _("Longest queue"),
    _("With more videos waiting, new ones are refused with 429."),
    least=1,
    most=1_000_000,
)
MAX_PIXELS = Option[int](
    "video_max_pixels",
    VIDEOS,
    _("Largest frame"),
    _("Width × height: 832 × 480 are 399,360 and 1280 × 720 are 921,600."),
    unit=PIXELS,
    least=256,
    most=2**30,
)
MAX_FRAMES = Option[int]("video_max_frames", VIDEOS, _("Most frames"), _("Of one video."), least=1, most=100_000)
MAX_STEPS = Option[int]("video_max_steps", VIDEOS, _("Most steps"), _("Of one video."), least=1, most=10_000)
ATTEMPTS = Option[int](
    "video_attempts", VIDEOS, _("Attempts"), _("So often a video is tried before it fails."), least=1, most=100
)
BACKOFF_SECONDS = Option[float](
    "video_backoff_seconds",
    VIDEOS,
    _("Wait before the second attempt"),
    _("It doubles with each further one."),
    unit=SECONDS,
    least=0.0,
    most=3600.0,
)
EXTEND_PROMPT = Option[str](
    "video_extend_prompt",
    VIDEOS,
    _("Extend prompts"),
    _("A chat model of this server makes prompts fuller first, unless a request says otherwise."),
    choices=(("off", _("no")), ("on", _("yes"))),
)
EXTEND_MODEL = Option[str](
    "video_extend_model",
    VIDEOS,
    _("Model that extends prompts"),
    _("Empty: the chat model that is asked when a request names none."),
)
TIMEOUT_SECONDS = Option[float](
    "video_timeout_seconds",
    VIDEOS,
    _("Longest attempt"),
    _("One that takes longer fails with job_timeout."),
    unit=MINUTES,
    least=1.0,
    most=30 * 86_400.0,
)
STALL_SECONDS = Option[float](
    "video_stall_seconds",
    VIDEOS,
    _("Longest silence"),
    _("A worker without progress for longer is ended with worker_stalled."),
    unit=MINUTES,
    least=1.0,
    most=86_400.0,
)
KEEP_COUNT = Option[int](
    "video_keep_count", VIDEOS, _("Kept, number"), _("So many finished videos are kept."), least=0, most=10_000_000
)
KEEP_BYTES = Option[int](
    "video_keep_bytes", VIDEOS, _("Kept, size"), _("All finished videos together."), unit=IN_GIB, least=0, most=2**60
)
KEEP_SECONDS = Option[float](
    "video_keep_seconds",
    VIDEOS,
    _("Kept, time"),
    _("A finished video's files are removed after so long."),
    unit=DAYS,
    least=1.0,
    most=100 * YEAR,
)
INPUT_MAX_BYTES = Option[int](
    "input_max_bytes",
    VIDEOS,
    _("Largest input"),
    _("Of one picture or video that a client sends; larger ones are refused with 413."),
    unit=IN_MIB,
    least=1024,
    most=2**40,
)
INPUT_MAX_PIXELS = Option[int](
    "input_max_pixels",
    VIDEOS,
    _("Most pixels of an input"),
    _("A picture with more is refused before it is decoded."),
    unit=PIXELS,
    least=256,
    most=2**30,
)
FILES_KEY_BYTES = Option[int](
    "files_key_bytes",
    VIDEOS,
    _("Files of one key"),
    _("All files that one key has uploaded; beyond that, uploads are refused with 413."),
    unit=IN_GIB,
    least=0,
    most=2**60,
)
FILES_BYTES = Option[int](
    "files_bytes",
    VIDEOS,
    _("Files of all keys"),
    _("Together; beyond that, uploads are refused with 507."),
    unit=IN_GIB,
    least=0,
    most=2**60,
)
FILES_KEEP_SECONDS = Option[float](
    "files_keep_seconds",
    VIDEOS,
    _("Files are kept"),
    _("An uploaded file is removed after so long."),
    unit=DAYS,
    least=3600.0,
    most=100 * YEAR,
)
DISK_FLOOR_BYTES = Option[int](
    "disk_floor_bytes",
    VIDEOS,
    _("Free disk that is kept"),
    _("With less, new videos are refused with 507."),
    unit=IN_GIB,
    least=0,
    most=2**60,
    weaker="below",
)

STEPS = Group(
    "steps", _("Steps of videos"), _("What is kept between the steps of a video, and what stays in memory."), 35
)

IDLE_SECONDS = Option[float](
    "video_idle_seconds",
    STEPS,
    _("A generator stays for"),
    _("After its video, so that the next one of the same model begins at once; 0 ends it with its video."),
    unit=MINUTES,
    least=0.0,
    most=30 * 86_400.0,
)
LOW_RAM = Option[bool](
    "video_low_ram",
    STEPS,
    _("One part of a model at a time"),
    _("Text encoder, denoiser and decoder are loaded one after the other: less memory, more reading. For new workers."),
)
STAGED = Option[bool](
    "video_staged",
    STEPS,
    _("A worker for each step"),
    _("Each under a lease for its own part, which is the least memory of all; none stays after its step."),
)
CHECKPOINT_STEPS = Option[int](
    "video_checkpoint_steps",
    STEPS,
    _("Denoising steps between two saved states"),
    _("So many are done again at most when a worker ends in the middle."),
    least=2,
    most=1000,
)
CHECKPOINT_SECONDS = Option[float](
    "video_checkpoint_seconds",
    STEPS,
    _("Time between two saved states"),
    _("Sooner than this none is saved, however short a step is."),
    unit=SECONDS,
    least=0.1,
    most=3600.0,
)
KEEP_FRAMES = Option[bool](
    "video_keep_frames",
    STEPS,
    _("Keep raw frames"),
    _("Also when the file is verified. They are large: 832 × 480 with 81 frames are 97 MB."),
)
STEPS_BYTES = Option[int](
    "video_steps_bytes",
    STEPS,
    _("Results of steps on disk"),
    _("Beyond this the oldest finished video gives its own up first."),
    unit=IN_GIB,
    least=0,
    most=2**50,
)
