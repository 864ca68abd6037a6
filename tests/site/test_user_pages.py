"""The Users page: operators and others, and that nobody is locked out."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from fmlx_site.models import Change, Profile
from fmlx_site.users.rights import RIGHTS, VIEWER, rights_of, rows_of
from inference.models import ApiKey

pytestmark = pytest.mark.django_db
SECRET = re.compile(r'id="secret" class="id">([^<]+)<')


@pytest.fixture
def admin() -> User:
    return User.objects.create_superuser("admin", password="a long password")


@pytest.fixture
def operator(admin: User) -> Client:
    browser = Client()
    browser.force_login(admin)
    return browser


def add(operator: Client, name: str = "mia", role: str = "viewer", rights: tuple[str, ...] = ()) -> tuple[User, str]:
    made = operator.post("/users/make/", {"username": name, "role": role, "rights": list(rights)})
    (password,) = SECRET.findall(made.content.decode())
    assert "no-store" in made.headers["Cache-Control"]
    return User.objects.get(username=name), password


def test_every_right_is_a_permission_that_is_there() -> None:
    assert len(rows_of(RIGHTS)) == len(RIGHTS)


def test_a_new_user_logs_in_with_the_password_shown_once_and_is_asked_to_change_it(operator: Client) -> None:
    user, password = add(operator)
    browser = Client()
    answer = browser.post("/login/", {"username": "mia", "password": password})
    assert answer.headers["Location"] == "/password/"
    assert password not in str(list(Change.objects.values()))
    assert password not in operator.get(f"/users/{user.pk}/").content.decode()
    assert Profile.objects.get(user=user).password_was_made


def test_a_viewer_sees_every_page_and_changes_nothing(operator: Client) -> None:
    user, _ = add(operator)
    browser = Client()
    browser.force_login(user)
    for page in (
        "/",
        "/videos/",
        "/models/",
        "/memory/",
        "/cache/",
        "/keys/",
        "/logs/",
        "/system/",
        "/settings/",
        "/audit/",
    ):
        assert browser.get(page).status_code == 200, page
    for page in ("/users/", "/users/make/", "/keys/make/", "/chat/", f"/users/{user.pk}/"):
        assert browser.get(page).status_code == 403, page
    for page in ("/settings/memory/", "/models/rescan/", f"/users/{user.pk}/", f"/users/{user.pk}/close/"):
        assert browser.post(page).status_code == 403, page
    assert browser.get("/admin/").status_code == 302
    assert "/users/" not in browser.get("/").content.decode()


def test_who_may_do_something_may_see_it_and_no_more(operator: Client) -> None:
    user, _ = add(operator, role="chosen", rights=("videos.delete_videojob",))
    assert rights_of(user) == {"videos.delete_videojob", "videos.view_videojob"}
    browser = Client()
    browser.force_login(user)
    assert browser.get("/videos/").status_code == 200
    assert browser.get("/memory/").status_code == 403


def test_rights_are_changed_with_a_line_in_the_audit_trail(operator: Client) -> None:
    user, _ = add(operator)
    operator.post(f"/users/{user.pk}/", {"role": "chosen", "rights": ["chat.add_conversation"]})
    change = Change.objects.filter(what="user", name="mia").first()
    assert change is not None
    assert (change.old, change.new) == ({"role": "viewer"}, {"role": "chosen", "rights": ["chat.add_conversation"]})
    assert "Chat (talk to the models)" in operator.get("/audit/").content.decode()
    count = Change.objects.count()
    operator.post(f"/users/{user.pk}/", {"role": "chosen", "rights": ["chat.add_conversation"]})
    assert Change.objects.count() == count


def test_a_closed_account_is_out_at_once_with_its_keys_and_can_be_opened(operator: Client) -> None:
    user, password = add(operator)
    ApiKey.make("laptop", user)
    browser = Client()
    browser.force_login(user)
    assert "laptop" in operator.get(f"/users/{user.pk}/close/").content.decode()
    user.refresh_from_db()
    assert user.is_active
    operator.post(f"/users/{user.pk}/close/")
    assert browser.get("/videos/").status_code == 302
    assert Client().post("/login/", {"username": "mia", "password": password}).status_code == 200
    operator.post(f"/users/{user.pk}/reopen/")
    assert Client().post("/login/", {"username": "mia", "password": password}).status_code == 302


def test_a_new_password_ends_the_old_one_and_its_sessions(operator: Client) -> None:
    user, old = add(operator)
    browser = Client()
    browser.post("/login/", {"username": "mia", "password": old})
    (new,) = SECRET.findall(operator.post(f"/users/{user.pk}/password/").content.decode())
    assert new != old
    assert browser.get("/videos/").status_code == 302
    assert Client().post("/login/", {"username": "mia", "password": old}).status_code == 200
    assert new not in str(list(Change.objects.values()))


def test_no_operator_takes_their_own_rights_or_account(operator: Client, admin: User) -> None:
    add(operator, "eve", "operator")
    assert (
        "You cannot take your own rights away"
        in operator.post(f"/users/{admin.pk}/", {"role": "viewer"}).content.decode()
    )
    operator.post(f"/users/{admin.pk}/close/")
    admin.refresh_from_db()
    assert admin.is_superuser
    assert admin.is_active


def test_an_operator_is_deposed_by_another(operator: Client) -> None:
    eve, _ = add(operator, "eve", "operator")
    operator.post(f"/users/{eve.pk}/", {"role": "viewer"})
    eve.refresh_from_db()
    assert (eve.is_superuser, eve.is_staff, rights_of(eve)) == (False, False, set(VIEWER))


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"username": "ADMIN", "role": "viewer"}, "There is a user of this name already"),
        ({"username": "", "role": "viewer"}, "This field is required"),
        ({"username": "a b", "role": "viewer"}, "Enter a valid username"),
        ({"username": "x", "role": "king"}, "Select a valid choice"),
        ({"username": "x", "role": "chosen", "rights": ["auth.change_user"]}, "Select a valid choice"),
    ],
)
def test_what_is_not_right_is_said_and_makes_nobody(operator: Client, form: dict[str, object], said: str) -> None:
    answer = operator.post("/users/make/", form)
    assert said in answer.content.decode()
    assert User.objects.count() == 1


def test_the_list_asks_the_database_the_same_for_many(operator: Client, django_assert_max_num_queries) -> None:
    for number in range(60):
        user = User.objects.create_user(f"user{number}")
        user.user_permissions.set(rows_of(VIEWER))
    with django_assert_max_num_queries(8):
        page = operator.get("/users/").content.decode()
    assert page.count("viewer") >= 49
