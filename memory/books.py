"""What the node writes down every second: its heartbeat, its ceiling, and what the sampler saw."""

import time
from dataclasses import replace
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from memory import options, timeline
from memory.ceiling import Ceiling, compute_ceiling
from memory.device import Device
from memory.ledger import Ledger
from memory.live import tick_of
from memory.models import Lease, Node
from memory.models import Sample as SampleRow
from memory.relief import Standing
from memory.sampler import Sample, Sampler
from memory.sentences import say
from memory.summaries import Summarist

log = structlog.get_logger(__name__)
PURGE_SECONDS = 60.0
TOLD_SHARE = 0.05  # a ceiling that moved by this much since it was last told is an event


class Books:
    """Synchronous: use `sync_to_async` from the event loop."""

    def __init__(self, node: Node, ledger: Ledger, sampler: Sampler, device: Device | None) -> None:
        self._node, self._ledger, self._sampler, self._device = node, ledger, sampler, device
        self._summarist = Summarist(node.pk)
        self._purge_at = 0.0
        self._told: int | None = None
        self.tick: dict[str, Any] = {}  # what the last write said, for pages

    def write(self) -> Standing:
        """One transaction, since each costs a write to the disk. Promises follow the lowest ceiling of the last
        seconds; who holds a lease already is measured by the highest.
        """
        self._sampler.period = options.SAMPLE_SECONDS.value
        recent = self._sampler.recent()
        ceilings = [self.ceiling(sample) for sample in recent]
        lowest = min(ceilings, key=lambda one: one.bytes)
        with transaction.atomic():
            self._beat()
            leased = self._ledger.set_ceiling(lowest)
            self._tell(lowest)
            self._keep_readings(recent[-1])
            SampleRow.objects.bulk_create(self._rows(recent[-1], lowest, leased))
            self._summarist.write(timezone.now())
            self._purge()
        self.tick = tick_of(self._node, recent[-1], lowest, leased)
        best = [max(one.bytes for one in ceilings), max(one.cap for one in ceilings)]
        return Standing(leased, *best)

    def ceiling(self, sample: Sample) -> Ceiling:
        ceiling = compute_ceiling(
            sample.machine,
            tier=options.TIER.value,
            reserve=options.RESERVE_BYTES.value,
            share=options.RECLAIMED.value,
            limit=options.LIMIT_BYTES.value,
            held=sample.held,
            device=self._device.bytes if self._device else None,
            device_name=self._device.name if self._device else "",
        )
        backend = self._device.kind if self._device else "cpu"
        gpu = self._sampler.gpu
        missing = {"gpu_missing": gpu.missing} if gpu and gpu.missing else {}
        return replace(ceiling, inputs={**ceiling.inputs, "backend": backend, **missing})

    def _beat(self) -> None:
        mine = Node.objects.filter(pk=self._node.pk, boot_id=self._node.boot_id)
        if not mine.update(heartbeat_at=timezone.now()):
            text = f"Another process took the name {self._node.name!r} over: name one of the two anew."
            log.error("node_taken_over", message=text)

    def _tell(self, ceiling: Ceiling) -> None:
        if self._told is not None and abs(ceiling.bytes - self._told) <= TOLD_SHARE * self._told:
            return
        what, message = timeline.What.CEILING, say("ceiling_is", ceiling=ceiling.bytes)
        if self._told is None:
            what = timeline.What.STARTED
        timeline.record(self._node.pk, what, message=message, bytes=ceiling.bytes, figures=ceiling.terms())
        self._told = ceiling.bytes

    def _keep_readings(self, sample: Sample) -> None:
        for one in sample.workers:
            Lease.objects.filter(pk=one.lease_id or 0).update(footprint_bytes=one.footprint, peak_bytes=one.peak)

    def _rows(self, sample: Sample, ceiling: Ceiling, leased: int) -> list[SampleRow]:
        now, machine = timezone.now(), sample.machine
        rows = [
            SampleRow(
                node=self._node,
                at=now,
                kind=one.kind,
                holder=one.holder,
                footprint_bytes=one.footprint,
                lease_bytes=one.lease,
            )
            for one in sample.workers
        ]
        whole = SampleRow(
            node=self._node,
            at=now,
            footprint_bytes=machine.used,
            available_bytes=machine.available,
            lease_bytes=leased,
            ceiling_bytes=ceiling.bytes,
            cap_bytes=ceiling.cap,
        )
        return [*rows, whole]

    def _purge(self) -> None:
        if time.monotonic() >= self._purge_at:
            self._purge_at = time.monotonic() + PURGE_SECONDS
            timeline.purge(self._node.pk)
