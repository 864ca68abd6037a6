from django.contrib import admin

from memory.models import Event, Lease, Node, Sample


@admin.register(Node)
class NodeAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "pid", "started_at", "heartbeat_at", "ceiling_bytes")


@admin.register(Lease)
class LeaseAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("kind", "holder", "bytes", "state", "pid", "created_at")
    list_filter = ("node", "state", "kind")


@admin.register(Sample)
class SampleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("at", "kind", "holder", "footprint_bytes", "available_bytes")
    list_filter = ("node", "kind")


@admin.register(Event)
class EventAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("at", "what", "kind", "holder", "bytes", "message")
    list_filter = ("node", "what", "kind")
