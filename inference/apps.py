from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class InferenceConfig(AppConfig):
    name = "inference"
    verbose_name = _("Inference")

    def ready(self) -> None:
        from django.contrib.auth.models import User  # noqa: PLC0415 - models are there only now

        from fmlx_site.stamps import KEYS, MODELS  # noqa: PLC0415
        from inference import options, sentences  # noqa: F401, PLC0415 - registers them
        from inference.fit import ModelQuestion  # noqa: PLC0415
        from inference.models import ApiKey, ModelFolder, ModelSettings  # noqa: PLC0415
        from memory.fit import register  # noqa: PLC0415

        register(ModelQuestion())
        KEYS.follow(ApiKey, User)  # the keys of a closed account are refused
        MODELS.follow(ModelFolder, ModelSettings)
