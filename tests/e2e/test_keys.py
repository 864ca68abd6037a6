"""A key is made in the browser, used, seen in the log and in the sums, and revoked."""

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.servers import Server


def test_a_key_is_made_used_watched_and_revoked(operator: Page, tab: Page, server: Server) -> None:
    tab.goto("/requests/")
    expect(tab.get_by_text("Live", exact=True)).to_be_visible()
    operator.goto("/keys/")
    operator.get_by_role("link", name="Make a key").click()
    operator.get_by_label("Name").fill("browser's key")
    operator.get_by_label("Requests a day").fill("2")
    operator.get_by_role("button", name="Make the key").click()
    secret = operator.locator("#secret").inner_text()
    operator.get_by_role("button", name="Copy").click()
    expect(operator.locator("[data-copy]")).to_have_text("Copied")

    url, headers = f"{server.base_url}/v1/chat/completions", {"Authorization": f"Bearer {secret}"}
    statuses = [httpx.post(url, headers=headers, json={}, trust_env=False).status_code for _ in range(3)]
    assert statuses == [400, 400, 429]
    expect(tab.locator("tbody tr").filter(has_text="browser's key")).to_have_count(3)  # without a reload
    expect(tab.get_by_text("rate_limit_exceeded")).to_be_visible()
    tab.locator("tbody a").first.click()
    expect(tab.get_by_text("It is not kept: the settings say so.")).to_be_visible()
    tab.goto("/usage/")
    expect(tab.locator(".chart canvas")).to_be_visible()
    expect(tab.locator("tbody tr").filter(has_text="browser's key")).to_contain_text("3")

    operator.get_by_role("link", name="See the key").click()
    expect(operator.get_by_text("2 of 2")).to_be_visible()
    assert secret not in operator.content()
    operator.get_by_role("link", name="Revoke…").click()
    operator.get_by_role("button", name="Revoke the key").click()
    expect(operator.locator("tbody tr").filter(has_text="browser's key")).to_contain_text("revoked")
    assert httpx.get(f"{server.base_url}/v1/models", headers=headers, trust_env=False).status_code == 401


@pytest.mark.parametrize("path", ["/keys/", "/keys/make/", "/requests/", "/usage/"])
@pytest.mark.parametrize("code", ["zh-hans", "ru"])
def test_a_phone_shows_all_of_it(operator: Page, path: str, code: str) -> None:
    operator.locator(f".languages [value={code}]").click()
    operator.set_viewport_size({"width": 360, "height": 800})
    operator.goto(path)
    expect(operator.locator("h1")).to_be_visible()
    assert operator.evaluate("document.documentElement.scrollWidth") <= 360
