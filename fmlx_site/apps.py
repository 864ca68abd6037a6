from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "fmlx_site"
    label = "fmlx_site"
