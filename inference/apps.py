from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class InferenceConfig(AppConfig):
    name = "inference"
    verbose_name = _("Inference")

    def ready(self) -> None:
        from inference import options, sentences  # noqa: F401, PLC0415 - registers them
        from inference.fit import ModelQuestion  # noqa: PLC0415 - models are there only now
        from memory.fit import register  # noqa: PLC0415

        register(ModelQuestion())
