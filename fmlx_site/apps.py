from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class SiteConfig(AppConfig):
    name = "fmlx_site"
    label = "fmlx_site"
    verbose_name = _("Server")

    def ready(self) -> None:
        from fmlx_site import checks, server_options  # noqa: F401, PLC0415 - registers them
        from fmlx_site.column_words import name_columns  # noqa: PLC0415 - models are there only now

        name_columns()
        autodiscover_modules("places", "home")
