from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class SiteConfig(AppConfig):
    name = "fmlx_site"
    label = "fmlx_site"

    def ready(self) -> None:
        from fmlx_site import checks, server_options  # noqa: F401, PLC0415 - registers them

        autodiscover_modules("places", "home")
