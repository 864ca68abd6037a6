from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class VideosConfig(AppConfig):
    name = "videos"
    verbose_name = _("Videos")

    def ready(self) -> None:
        from memory.fit import register  # noqa: PLC0415 - models are there only now
        from videos import options, sentences  # noqa: F401, PLC0415 - registers them
        from videos.fit import VideoQuestion  # noqa: PLC0415

        register(VideoQuestion())
