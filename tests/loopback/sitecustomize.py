"""Refuse connections to other machines, in this Python. conftest.py imports it, and puts its folder on PYTHONPATH,
where every Python that a test starts finds it: servers, kernels, commands.

What was refused is also written to the file that GTLAB_REFUSED names, because a program may hide the error.

At the end of a program, Python looks for garbage among all its objects, several times: up to a quarter of the processor
time of a short one. The tests start hundreds, so here it finds none to look at.
"""

import atexit
import gc
import ipaddress
import os
import socket

_connect, _connect_ex, _lookup = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo
_NAMES = {None, "", "localhost", b"localhost", socket.gethostname()}

atexit.register(gc.freeze)  # registered first, so it runs after all other functions


class Refused(OSError):
    """A test tried to reach another machine."""


def _is_here(host):
    """Whether a host is this machine: by a loopback address, its own name, or "all interfaces"."""
    if host in _NAMES:
        return True
    try:
        address = ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified or str(address) in _own()


def _own():
    """The addresses of this machine's name."""
    try:
        return {found[4][0] for found in _lookup(socket.gethostname(), None)}
    except OSError:
        return set()


def _check(host):
    if not _is_here(host):
        if os.environ.get("GTLAB_REFUSED"):
            with open(os.environ["GTLAB_REFUSED"], "a", encoding="utf-8") as record:
                record.write(f"{host}\n")
        raise Refused(f"a test tried to reach {host!r}: only this machine may be reached")


def connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        _check(address[0])
    return _connect(self, address)


def connect_ex(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        _check(address[0])
    return _connect_ex(self, address)


def getaddrinfo(host, *arguments, **options):
    _check(host)
    return _lookup(host, *arguments, **options)


socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo = connect, connect_ex, getaddrinfo
