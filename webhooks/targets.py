"""Where a webhook may lead. This is a private server: loopback and the local network are allowed, on purpose."""

import asyncio
import ipaddress
import socket
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from fmlx_site.errors import InvalidRequest
from webhooks.models import URL_LENGTH


class Unreachable(Exception):
    """There is no address that may be sent to."""


def checked(url: str) -> str:
    """Raises InvalidRequest."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or len(url) > URL_LENGTH or not url.isprintable() or " " in url or "\\" in url:
        raise InvalidRequest(_("must be a whole http:// or https:// address."), param="url")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InvalidRequest(_("must not hold a user name, a password or a fragment."), param="url")
    try:
        literal = ipaddress.ip_address(parts.hostname or "")
    except ValueError:
        return url
    if not _allowed(str(literal)):
        raise InvalidRequest(_("names an address that nothing is sent to: link-local, multicast or none."), param="url")
    return url


async def addresses_of(host: str, port: int) -> list[str]:
    """What a name leads to now, in the system's order. Raises Unreachable.

    The caller connects to one of these and looks nothing up again, so that no name can lead elsewhere meanwhile.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"{host} was not found: {error}") from None
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    allowed = [address for address in addresses if _allowed(address)]
    if not allowed:
        raise Unreachable(f"{host} leads to {', '.join(addresses)}, where nothing is sent.")
    return allowed


def _allowed(address: str) -> bool:
    """Not link-local: there the clouds keep their machines' credentials (169.254.169.254)."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return not (ip.is_link_local or ip.is_multicast or ip.is_unspecified)
