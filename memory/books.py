"""What the node writes down every second: its heartbeat, its ceiling, and what the sampler saw."""

import time
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from memory.ceiling import Ceiling, compute_ceiling
from memory.device import Device
from memory.ledger import Ledger
from memory.models import Node
from memory.models import Sample as SampleRow
from memory.relief import Standing
from memory.sampler import Sample, Sampler

log = structlog.get_logger(__name__)
KEPT = timedelta(hours=1)
PURGE_SECONDS = 60.0


class Books:
    """Synchronous: use `sync_to_async` from the event loop."""

    def __init__(self, node: Node, ledger: Ledger, sampler: Sampler, device: Device | None) -> None:
        self._node, self._ledger, self._sampler, self._device = node, ledger, sampler, device
        self._purge_at = 0.0

    def write(self) -> Standing:
        """One transaction, since each costs a write to the disk. Promises follow the lowest ceiling of the last
        seconds; who holds a lease already is measured by the highest.
        """
        recent = self._sampler.recent()
        ceilings = [self.ceiling(sample) for sample in recent]
        with transaction.atomic():
            self._beat()
            leased = self._ledger.set_ceiling(min(ceilings, key=lambda one: one.bytes))
            SampleRow.objects.bulk_create(self._rows(recent[-1]))
            self._purge()
        best = [max(one.bytes for one in ceilings), max(one.cap for one in ceilings)]
        return Standing(leased, *best)

    def ceiling(self, sample: Sample) -> Ceiling:
        fmlx = settings.FMLX
        return compute_ceiling(
            sample.machine,
            tier=fmlx.memory_tier,
            reserve=fmlx.memory_reserve_bytes,
            held=sample.held,
            device=self._device.bytes if self._device else None,
            device_name=self._device.name if self._device else "",
        )

    def _beat(self) -> None:
        mine = Node.objects.filter(pk=self._node.pk, boot_id=self._node.boot_id)
        if not mine.update(heartbeat_at=timezone.now()):
            text = f"Another process took the name {self._node.name!r} over: name one of the two anew."
            log.error("node_taken_over", message=text)

    def _rows(self, sample: Sample) -> list[SampleRow]:
        now, machine = timezone.now(), sample.machine
        rows = [
            SampleRow(node=self._node, at=now, kind=one.kind, holder=one.holder, footprint_bytes=one.footprint)
            for one in sample.workers
        ]
        whole = SampleRow(node=self._node, at=now, footprint_bytes=machine.used, available_bytes=machine.available)
        return [*rows, whole]

    def _purge(self) -> None:
        if time.monotonic() < self._purge_at:
            return
        self._purge_at = time.monotonic() + PURGE_SECONDS
        SampleRow.objects.filter(node=self._node, at__lt=timezone.now() - KEPT).delete()
