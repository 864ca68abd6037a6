"""The administration: everything is there to be looked at, and nothing goes past the audit trail."""

import os
import re
import subprocess

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import User
from django.test import Client

from fmlx_site.column_words import APPS
from fmlx_site.models import Change
from inference.models import ApiKey, ModelFolder, ModelSettings
from memory.identity import here
from memory.models import Lease, Node
from memory.processes import process

pytestmark = pytest.mark.django_db
GIB = 2**30
DEAD = 2**22 + 1  # no kernel gives such a pid


@pytest.fixture
def operator() -> Client:
    browser = Client()
    browser.force_login(User.objects.create_superuser("admin", password="a long password"))
    return browser


def our_models():
    return [model for label in APPS for model in apps.get_app_config(label).get_models()]


def test_every_model_is_there_with_a_list_and_nothing_is_added_by_hand(operator: Client) -> None:
    assert [model for model in our_models() if not admin.site.is_registered(model)] == []
    operator.cookies["django_language"] = "ru"
    for model in our_models():
        page = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        assert operator.get(f"{page}?q=a").status_code == 200, page
        assert operator.get(f"{page}add/").status_code == 403, page


def test_a_filter_has_a_name_for_what_is_empty(operator: Client) -> None:
    node = Node.objects.create(name="here", boot_id="1", pid=1)
    for name, pipeline in (("a", ""), ("b", "wan2.2-t2v-a14b")):
        ModelFolder.objects.create(node=node, name=name, path=f"/{name}", pipeline=pipeline)
    page = operator.get("/admin/inference/modelfolder/").content.decode()
    assert re.search(r'<a href="\?pipeline=">\s*none</a>', page)


@pytest.fixture
def worker():
    """A process in a session of its own, as workers are."""
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as child:
        yield child
        child.kill()


def test_a_lease_is_released_when_its_process_is_gone_and_not_before(
    operator: Client, worker: "subprocess.Popen[bytes]"
) -> None:
    node = Node.objects.create(name="here", boot_id="1", pid=os.getpid(), place=here(), ceiling_bytes=8 * GIB)
    leader = process(worker.pid)
    assert leader is not None
    running = {"pid": worker.pid, "pid_started": leader.started}
    there = Lease.objects.create(node=node, kind="engine", holder="here", bytes=GIB, state="bound", **running)
    away = Node.objects.create(name="away", boot_id="1", pid=1, place="another machine")
    gone = {"state": "bound", "pid": DEAD, "pid_started": 1.0, "bytes": GIB, "kind": "engine"}
    unseen = Lease.objects.create(node=away, holder="unseen", **gone)
    over = Lease.objects.create(node=node, holder="over", **gone)
    reserved = Lease.objects.create(node=node, kind="engine", holder="reserved", bytes=GIB)
    chosen = [lease.pk for lease in (there, unseen, over, reserved)]
    answer = operator.post("/admin/memory/lease/", {"action": "release", "_selected_action": chosen}, follow=True)
    said = answer.content.decode()
    assert "1 lease was released." in said
    assert "3 leases were kept" in said
    assert set(Lease.objects.values_list("holder", flat=True)) == {"here", "unseen", "reserved"}
    assert list(Change.objects.values_list("what", "name", "source")) == [("lease", "over", "admin")]


def test_secrets_of_keys_and_what_people_say_are_not_shown(operator: Client) -> None:
    user = User.objects.create_user("mia", password="a long password")
    key, secret = ApiKey.make("laptop", user)
    shown = operator.get(f"/admin/inference/apikey/{key.pk}/change/").content.decode()
    assert key.digest not in shown
    assert secret not in shown
    assert user.password not in operator.get(f"/admin/auth/user/{user.pk}/change/").content.decode()
    talk = apps.get_model("chat", "Conversation").objects.create(owner=user, title="a secret plan", model="qwen")
    assert "secret plan" not in operator.get("/admin/chat/conversation/").content.decode()
    assert operator.get(f"/admin/chat/conversation/{quote(talk.pk)}/change/").status_code == 403


def test_what_is_decided_elsewhere_is_not_changed_here(operator: Client) -> None:
    row = ModelSettings.objects.create(name="qwen")
    answer = operator.post(f"/admin/inference/modelsettings/{row.pk}/change/", {"name": "qwen", "alias": "gpt"})
    assert answer.status_code == 403
    row.refresh_from_db()
    assert row.alias == ""


def test_there_is_one_way_to_log_in_and_one_to_change_a_password(operator: Client) -> None:
    assert Client().get("/admin/login/?next=/admin/").headers["Location"] == "/login/?next=/admin/"
    assert operator.get("/admin/password_change/").headers["Location"] == "/password/"
