"""One try: a signed POST to the address as it was looked up, no redirect followed, the answer's body not read."""

import asyncio
import re
import ssl
import time
from dataclasses import dataclass

import certifi
import httpx

from webhooks import options
from webhooks.models import Delivery
from webhooks.signing import headers_of
from webhooks.targets import Unreachable, addresses_of

CONNECT_SECONDS = 5.0
USER_AGENT = "fmlx-webhooks/1"
GONE = 410
LONGEST_RETRY_AFTER = 3600


@dataclass(frozen=True, slots=True)
class Answer:
    """`problem` says why it is not taken; `status` is None without an answer; `retry_after`: seconds it asked for."""

    status: int | None
    problem: str
    seconds: float
    retry_after: int = 0

    @property
    def taken(self) -> bool:
        return not self.problem


class Sender:
    def __init__(self) -> None:
        trusted = ssl.create_default_context(cafile=certifi.where())
        trusted.load_default_certs()  # an operator's own authority, where the system knows it
        timeout = httpx.Timeout(options.TIMEOUT_SECONDS.value, connect=CONNECT_SECONDS)
        self._client = httpx.AsyncClient(verify=trusted, trust_env=False, follow_redirects=False, timeout=timeout)

    async def close(self) -> None:
        await self._client.aclose()

    async def send(self, delivery: Delivery) -> Answer:
        """`delivery` with its endpoint."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(options.TIMEOUT_SECONDS.value + CONNECT_SECONDS):
                response = await self._post(delivery)
        except TimeoutError:
            return Answer(None, "It did not answer in time.", time.monotonic() - began)
        except (httpx.HTTPError, httpx.InvalidURL, Unreachable, ssl.SSLError) as error:
            return Answer(None, f"{type(error).__name__}: {error}"[:500], time.monotonic() - began)
        problem = "" if response.is_success else f"It answered {response.status_code}."
        if response.is_redirect:
            problem += " Redirects are not followed."
        return Answer(response.status_code, problem, time.monotonic() - began, _retry_after(response))

    async def _post(self, delivery: Delivery) -> httpx.Response:
        url = httpx.URL(delivery.endpoint.url)
        port = url.port or (443 if url.scheme == "https" else 80)
        *others, last = await addresses_of(url.host, port)
        for address in others:
            try:
                return await self._post_to(address, url, delivery)
            except httpx.ConnectError:
                continue  # localhost is ::1 and 127.0.0.1, and a receiver may listen on one of them
        return await self._post_to(last, url, delivery)

    async def _post_to(self, address: str, url: httpx.URL, delivery: Delivery) -> httpx.Response:
        body = delivery.body.encode()
        signed = headers_of(delivery.endpoint, delivery.event_id, int(time.time()), body)
        host = url.netloc.decode("ascii")
        headers = {"host": host, "content-type": "application/json", "user-agent": USER_AGENT, **signed}
        request = self._client.build_request(
            "POST",
            url.copy_with(host=address),
            content=body,
            headers=headers,
            extensions={"sni_hostname": url.host} if url.scheme == "https" else {},
        )
        response = await self._client.send(request, stream=True)
        await response.aclose()
        return response


def _retry_after(response: httpx.Response) -> int:
    asked = response.headers.get("retry-after", "")
    return min(int(asked), LONGEST_RETRY_AFTER) if re.fullmatch("[0-9]{1,8}", asked) else 0
