from typing import Any

from django.conf import settings
from django.core.checks import run_checks
from django.core.management.base import BaseCommand

from fmlx_site.doctor import Finding, examine


class Command(BaseCommand):
    help = "Say what works on this machine, what does not, and the command that mends it."

    def handle(self, *args: Any, **options: Any) -> None:
        findings = list(examine(settings.FMLX))
        findings += [Finding(str(check.id), False, check.msg, check.hint or "") for check in run_checks()]
        for finding in findings:
            mark = self.style.SUCCESS("ok  ") if finding.ok else self.style.ERROR("BAD ")
            self.stdout.write(f"{mark} {finding.what}: {finding.message}")
            if finding.mend:
                self.stdout.write(f"     mend it with: {finding.mend}")
        if not all(finding.ok for finding in findings):
            raise SystemExit(1)
