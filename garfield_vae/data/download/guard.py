"""Connections that go only where they may: no private address, no answer without end.

`requests` asks urllib3 for connections; this gives it connections of our own kind, which look at
the address they really reached (so a name that resolves to something else the second time gains
nothing) and which can be cut off when an answer takes too long, whatever it is still dripping.
"""

import ipaddress
import socket
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from garfield_vae.util.errors import UserError


class PrivateAddress(Exception):
    """A host name that leads into this machine or its local network."""


def addresses(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """What `host` resolves to. Raises OSError when it has no address."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(where[0].partition("%")[0]) for *_, where in found]


def is_this_machine(host: str) -> bool:
    """True when every address of `host` is a loopback address."""
    try:
        return all(address.is_loopback for address in addresses(host))
    except OSError as error:
        raise UserError(f"--base_url names {host}, which cannot be found: {error}.") from error


class GuardedAdapter(HTTPAdapter):
    """The transport of a `requests.Session`. `named`: hosts that may be private (--base_url)."""

    def __init__(self, named: frozenset[str] = frozenset()):
        self._named = named
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lock = threading.Lock()  # over _sockets and _late, which the timer's thread reads
        self._late = threading.Event()
        super().__init__()

    def init_poolmanager(self, *args, **kwargs) -> None:
        super().init_poolmanager(*args, **kwargs)
        kinds = {
            "http": (HTTPConnectionPool, HTTPConnection),
            "https": (HTTPSConnectionPool, HTTPSConnection),
        }
        self.poolmanager.pool_classes_by_scheme = {
            scheme: type("GuardedPool", (pool,), {"ConnectionCls": self._guarded(connection)})
            for scheme, (pool, connection) in kinds.items()
        }

    def _guarded(adapter, plain: type) -> type:
        class GuardedConnection(plain):
            def connect(self) -> None:
                for address in addresses(self.host):
                    adapter._check(self.host, address)
                super().connect()
                # Looked at again: between the two the name may have changed its mind.
                peer = self.sock.getpeername()[0].partition("%")[0]
                adapter._check(self.host, ipaddress.ip_address(peer))
                adapter._watch(self.sock)

        return GuardedConnection

    def _check(self, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
        if host not in self._named and (not address.is_global or address.is_multicast):
            raise PrivateAddress(f"{host} resolves to {address}, which is not a public address")

    def _watch(self, connected: socket.socket) -> None:
        with self._lock:
            self._sockets.add(connected)
            if self._late.is_set():
                raise TimeoutError("the time for this answer was up before the connection stood")

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[threading.Event]:
        """Cuts every connection off when the block lasts longer; the event says that it did.

        A read time-out only bounds the wait for the next byte, so a server that drips is never
        late. One request is made at a time: any other connection is idle and loses nothing.
        """
        self._late = late = threading.Event()

        def cut() -> None:
            with self._lock:
                late.set()
                for connected in self._sockets:
                    # The plain class's shutdown, since TLS's own forgets its state under the
                    # reader; it fails on a socket that was closed already, which is as good.
                    with suppress(OSError):
                        socket.socket.shutdown(connected, socket.SHUT_RDWR)

        timer = threading.Timer(seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            yield late
        finally:
            timer.cancel()
