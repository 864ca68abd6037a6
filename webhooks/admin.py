from django.contrib import admin

from fmlx_site.admin import ReadOnlyAdmin
from webhooks.models import Delivery, Endpoint, Try


@admin.register(Endpoint)
class EndpointAdmin(ReadOnlyAdmin):
    list_display = ("url", "key", "events", "created_at", "gone_at")
    search_fields = ("url", "key__name")
    list_select_related = ("key",)
    exclude = ("salt",)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("number", "type", "subject", "endpoint", "state", "tries", "created_at", "delivered_at")
    list_filter = ("state", "type", "created_at")
    search_fields = ("event_id", "subject", "endpoint__url")
    list_select_related = ("endpoint",)


@admin.register(Try)
class TryAdmin(ReadOnlyAdmin):
    list_display = ("delivery", "at", "status", "seconds", "problem")
    list_filter = ("status", "at")
    search_fields = ("delivery__event_id", "problem")
    list_select_related = ("delivery",)
    ordering = ("-id",)
