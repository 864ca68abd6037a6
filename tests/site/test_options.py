"""Settings: what is chosen holds in every process, all of a change or nothing, and each is in the audit trail."""

import json
import subprocess
import sys
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings
from structlog.testing import capture_logs

from fmlx_site import option_store
from fmlx_site.audit import Origin
from fmlx_site.models import Change, StoredOption
from fmlx_site.options import OPTIONS, STORED, groups
from fmlx_site.server_options import LOG_LEVEL
from inference.options import FALLBACK_MODEL, IDLE_SECONDS, sampling_defaults
from memory.ceiling import GIB
from memory.models import Node
from memory.options import LIMIT_BYTES, RESERVE_BYTES, SAMPLE_SECONDS, TIER, TOLERANCE_BYTES, tolerance_of
from tests.early import ROOT
from videos.options import KEEP_FRAMES, LOW_RAM, WORKERS

pytestmark = [pytest.mark.django_db, pytest.mark.servers]
ME = Origin()


@pytest.fixture
def operator() -> Client:
    client = Client(REMOTE_ADDR="10.0.0.9")
    client.force_login(User.objects.create_superuser("olga", password="a long password"))
    return client


@pytest.fixture
def machine() -> Node:
    terms = {"bytes": 56 * GIB, "inputs": {"total": 64 * GIB}}
    return Node.objects.create(name="here", boot_id="1", pid=1, ceiling_terms=terms)


def filled(client: Client, group: str = "memory") -> dict[str, Any]:
    """What a browser would send if nothing was touched."""
    form = client.get(f"/settings/{group}/").context["form"]
    return {field.name: "" if field.value() is None else field.value() for field in form if not field.field.disabled}


def test_a_default_holds_until_something_is_chosen() -> None:
    assert (WORKERS.value, TIER.value, LIMIT_BYTES.value) == (1, "balanced", None)
    option_store.change({"video_workers": 3, "memory_tier": "safe", "memory_limit_bytes": 4 * GIB}, ME)
    assert (WORKERS.value, TIER.value, LIMIT_BYTES.value) == (3, "safe", 4 * GIB)
    option_store.reset(["video_workers"], ME)
    assert WORKERS.value == 1
    assert set(StoredOption.objects.values_list("name", flat=True)) == {"memory_tier", "memory_limit_bytes"}


def test_switches_texts_and_parts_of_a_number_are_set_on_the_page(operator: Client) -> None:
    steps = filled(operator, "steps")
    assert (steps["video_low_ram"], steps["video_keep_frames"]) == ("on", "off")
    operator.post("/settings/steps/", {**steps, "video_low_ram": "off", "video_keep_frames": "on"})
    assert (LOW_RAM.value, KEEP_FRAMES.value) == (False, True)
    operator.post("/settings/chat/", {**filled(operator, "chat"), "fallback_model": " qwen3 "})
    assert FALLBACK_MODEL.value == "qwen3"
    operator.post("/settings/sampling/", {**filled(operator, "sampling"), "sampling_top_p": "0.95"})
    assert sampling_defaults() == {"top_p": 0.95}
    changes = {change.name: (change.old, change.new) for change in Change.objects.all()}
    assert changes == {
        "video_low_ram": (True, False),
        "video_keep_frames": (False, True),
        "fallback_model": ("", "qwen3"),
        "sampling_top_p": (None, 0.95),
    }


@pytest.mark.parametrize("group", [group.name for group in groups()])
def test_a_group_that_is_saved_as_it_was_changes_nothing(operator: Client, machine: Node, group: str) -> None:
    page = operator.post(f"/settings/{group}/", filled(operator, group), follow=True).content.decode()
    assert "Nothing was different" in page
    assert not Change.objects.exists()


def test_a_variable_of_the_environment_comes_first(settings: Settings) -> None:
    option_store.change({"video_workers": 3}, ME)
    settings.FMLX = settings.FMLX.model_copy(update={"video_workers": 5})
    assert (WORKERS.value, WORKERS.stored, WORKERS.fixed) == (5, 3, True)


def test_what_needs_a_restart_holds_after_one() -> None:
    option_store.load()
    option_store.change({"log_level": "DEBUG"}, ME)
    assert (LOG_LEVEL.value, LOG_LEVEL.stored) == ("INFO", "DEBUG")
    STORED.loaded = False  # as in a process that starts
    option_store.load()
    assert LOG_LEVEL.value == "DEBUG"


async def test_another_process_changes_it_and_this_one_knows(transactional_db: None) -> None:
    await option_store.keep_current()
    await StoredOption.objects.acreate(name="video_workers", value=7)
    option_store._Checked.at -= option_store.CHECK_SECONDS
    await option_store.keep_current()
    assert WORKERS.value == 7


def test_a_row_of_another_version_is_said_and_left_out() -> None:
    StoredOption.objects.create(name="gone", value=1)
    StoredOption.objects.create(name="video_workers", value="many")
    with capture_logs() as lines:
        option_store.load()
    assert WORKERS.value == 1
    assert {line["name"] for line in lines if line["event"] == "option_not_understood"} == {"gone", "video_workers"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("video_workers", 0),
        ("video_workers", True),
        ("video_workers", 1.5),
        ("memory_tier", "brave"),
        ("memory_sample_seconds", 0.01),
        ("memory_sample_seconds", None),
        ("memory_limit_bytes", "4"),
        ("video_low_ram", "on"),
        ("fallback_model", 4),
        ("sampling_top_k", 1.5),
        ("sampling_temperature", 3),
        ("nothing", 1),
    ],
)
def test_a_value_that_it_cannot_have_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        option_store.change({"video_attempts": 2, name: value}, ME)
    assert list(refused.value.message_dict) == [name]
    assert not StoredOption.objects.exists()
    assert not Change.objects.exists()


def test_every_option_can_have_its_own_default_and_says_it() -> None:
    for option in OPTIONS.values():
        assert option.understand(option.default) == option.default
        assert option.of_shown(option.to_shown(option.default)) == option.default, option.name
        assert option.in_words(option.default)


def test_figures_are_held_against_the_memory_of_the_machine(machine: Node) -> None:
    option_store.change({"memory_reserve_bytes": 100 * GIB}, ME)  # not taken while the tier is another
    for wanted in ({"memory_tier": "custom"}, {"memory_limit_bytes": 65 * GIB}):
        with pytest.raises(ValidationError) as refused:
            option_store.change(wanted, ME)
        assert "64.00 GiB that here has" in " ".join(refused.value.messages)
    option_store.change({"memory_tier": "custom", "memory_reserve_bytes": 60 * GIB}, ME)
    assert RESERVE_BYTES.value == 60 * GIB


def test_the_tolerance_follows(machine: Node) -> None:
    assert tolerance_of(GIB) == 256 * 2**20
    option_store.change({"memory_tolerance_bytes": 2**20, "memory_tolerance_share": 0.5}, ME)
    assert tolerance_of(GIB) == GIB // 2


def test_the_page_shows_changes_and_the_audit_trail_has_them(operator: Client, machine: Node) -> None:
    sent = filled(operator) | {"memory_tier": "safe", "memory_limit_bytes": "24", "memory_tolerance_bytes": "128"}
    page = operator.post("/settings/memory/", sent, follow=True)
    assert page.redirect_chain == [("/settings/memory/", 302)]
    assert "3 settings were changed." in page.content.decode()
    assert (TIER.value, LIMIT_BYTES.value, TOLERANCE_BYTES.value) == ("safe", 24 * GIB, 128 * 2**20)
    rows = {change.name: change for change in Change.objects.all()}
    limit = rows["memory_limit_bytes"]
    assert (limit.old, limit.new, limit.who, limit.source, limit.address) == (
        None,
        24 * GIB,
        "olga",
        "page",
        "10.0.0.9",
    )
    trail = operator.get("/audit/").content.decode().replace("\xa0", " ")
    assert all(word in trail for word in ("Hard limit", "24 GiB", "none", "Safe: 12 GiB", "10.0.0.9", "olga"))


def test_what_was_not_touched_is_not_changed(operator: Client, machine: Node) -> None:
    for group in ("memory", "chat", "videos", "server"):
        page = operator.post(f"/settings/{group}/", filled(operator, group), follow=True)
        assert "Nothing was different" in page.content.decode()
    assert not Change.objects.exists()


def test_a_reason_stands_at_its_field_and_nothing_is_lost(operator: Client, machine: Node) -> None:
    sent = filled(operator) | {"memory_tier": "custom", "memory_reserve_bytes": "63.5", "memory_sample_seconds": "0.5"}
    page = operator.post("/settings/memory/", sent)
    text = page.content.decode()
    assert "63.50 GiB kept of the 64.00 GiB that here has leaves less than 1.00 GiB for workers." in text
    assert 'value="63.5"' in text
    assert SAMPLE_SECONDS.value == 0.25


def test_a_weaker_guard_is_said(operator: Client, machine: Node) -> None:
    assert "guards the machine less" not in operator.get("/settings/").content.decode()
    option_store.change({"memory_tier": "aggressive", "memory_sample_seconds": 1.0}, ME)
    text = operator.get("/settings/").content.decode()
    assert text.count("This guards the machine less than the default of") == 2


def test_what_the_environment_sets_cannot_be_typed(operator: Client, machine: Node, settings: Settings) -> None:
    settings.FMLX = settings.FMLX.model_copy(update={"memory_tier": "safe"})
    text = operator.get("/settings/").content.decode()
    assert "The variable FMLX_MEMORY_TIER decides" in text
    operator.post("/settings/memory/", filled(operator) | {"memory_tier": "aggressive"})
    assert TIER.stored == "balanced"


def test_reset_asks_first(operator: Client, machine: Node) -> None:
    option_store.change({"memory_tier": "safe", "video_workers": 4, "engine_idle_seconds": 60.0}, ME)
    asked = operator.get("/settings/reset/memory_tier/").content.decode()
    assert "Safe: 12 GiB → <strong>Balanced: 8 GiB</strong>" in asked
    assert TIER.value == "safe"
    operator.post("/settings/reset/memory_tier/")
    assert (TIER.value, WORKERS.value) == ("balanced", 4)
    operator.post("/settings/reset/videos/")
    assert (WORKERS.value, IDLE_SECONDS.value) == (1, 60.0)
    operator.post("/settings/reset/all/")
    assert IDLE_SECONDS.value == 0.0
    assert operator.get("/settings/reset/nothing/").status_code == 404


def upload(client: Client, text: str) -> Any:
    file = SimpleUploadedFile("settings.json", text.encode(), content_type="application/json")
    return client.post("/settings/import/", {"file": file}, follow=True)


def test_what_is_exported_can_be_imported(operator: Client, machine: Node) -> None:
    option_store.change({"memory_limit_bytes": 24 * GIB, "video_workers": 4}, ME)
    text = operator.get("/settings/export/").content.decode()
    assert json.loads(text)["options"]["memory_limit_bytes"] == 24 * GIB
    option_store.reset(OPTIONS, ME)
    assert "2 settings were changed." in upload(operator, text).content.decode()
    assert (LIMIT_BYTES.value, WORKERS.value) == (24 * GIB, 4)
    assert Change.objects.filter(source="import").count() == 2


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"video_workers": 2, "memory_tier": "brave"}, "brave is not one of the available choices"),
        ({"video_workers": 2, "memory_limit_bytes": 99 * GIB}, "more than the 64.00 GiB"),
        ({"video_workers": 2, "nonsense": 1}, "nonsense: There is no such setting."),
        (None, "not hold settings"),
        ("{", "not JSON"),
    ],
)
def test_nothing_of_a_file_is_taken_if_a_part_is_wrong(operator: Client, machine: Node, options: Any, why: str) -> None:
    text = options if isinstance(options, str) else json.dumps({"fmlx_settings": 1, "options": options})
    page = upload(operator, text)
    assert why in page.content.decode()
    assert WORKERS.value == 1


def test_who_may_only_look_changes_nothing(machine: Node) -> None:
    viewer = User.objects.create_user("victor", password="a long password")
    client = Client()
    paths = ("/settings/", "/settings/export/", "/audit/", "/settings/reset/all/")
    assert [client.get(path).status_code for path in paths] == [302] * 4
    client.force_login(viewer)
    assert [client.get(path).status_code for path in paths] == [403] * 4
    viewer.user_permissions.add(Permission.objects.get(codename="view_storedoption"))
    viewer.user_permissions.add(Permission.objects.get(codename="view_change"))
    assert [client.get(path).status_code for path in paths] == [200, 200, 200, 403]
    assert b"An operator of this server can change them" in client.get("/settings/").content
    assert client.post("/settings/memory/", {"memory_tier": "safe"}).status_code == 403
    assert client.post("/settings/import/").status_code == 403
    assert TIER.value == "balanced"


def test_the_audit_trail_is_filtered_and_paged(operator: Client) -> None:
    for number in range(2, 64):
        option_store.change({"video_workers": number}, ME)
    option_store.change({"memory_tier": "safe"}, ME)
    first, second = operator.get("/audit/"), operator.get("/audit/?page=2")
    assert [len(page.context["entries"]) for page in (first, second)] == [50, 13]
    assert first.context["entries"][0].change.name == "memory_tier"
    assert 'href="?page=2"' in first.content.decode()
    found = operator.get("/audit/", {"name": "tier", "what": "setting"})
    assert [entry.change.name for entry in found.context["entries"]] == ["memory_tier"]
    assert "No change fits" in operator.get("/audit/", {"until": "2001-01-01"}).content.decode()
    assert len(operator.get("/audit/", {"since": "never"}).context["entries"]) == 50


def test_the_administration_shows_changes_and_edits_none(operator: Client) -> None:
    option_store.change({"memory_tier": "safe"}, ME)
    change = Change.objects.get()
    assert b"memory_tier" in operator.get("/admin/fmlx_site/change/").content
    assert b'name="_save"' not in operator.get(f"/admin/fmlx_site/change/{change.pk}/change/").content
    assert operator.post(f"/admin/fmlx_site/change/{change.pk}/delete/").status_code == 403
    assert operator.get("/admin/fmlx_site/storedoption/").status_code == 200


def test_a_weaker_guard_is_found_before_the_start(tmp_path: Any) -> None:
    command = [sys.executable, "manage.py", "check"]
    env = {"PATH": "/usr/bin:/bin", "FMLX_HOME": str(tmp_path), "FMLX_MEMORY_TIER": "aggressive"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert "fmlx.W010" in done.stderr
    assert "memory_tier is aggressive" in done.stderr
