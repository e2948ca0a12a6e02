"""Who is asking: the address of a request's sender, behind a proxy as well, where that is to be believed."""

import ipaddress

from starlette.datastructures import Headers
from starlette.types import Scope

__all__ = ["address_of"]


def address_of(scope: Scope, is_behind_proxy: bool) -> str:
    """Name a sender: an IPv4 address, or the /64 network of an IPv6 one, all of which one sender has.

    A proxy adds the address it was asked from at the end of ``X-Forwarded-For``; what stands before the last public
    address there, anybody can have written. The peer is then the proxy itself, and counts only if that says nothing.
    """
    peer = scope.get("client")
    hosts = [peer[0]] if peer else []
    if is_behind_proxy:
        forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
        hosts = [host.strip() for host in forwarded.split(",") if host.strip()] or hosts
    public = [host for host in hosts if _is_public(host)]
    return _network(public[-1] if public else hosts[0] if hosts else "")


def _is_public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return False


def _network(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host[:64]
    if address.version == 4:
        return str(address)
    mapped = address.ipv4_mapped
    return str(mapped or ipaddress.ip_network((address, 64), strict=False))
