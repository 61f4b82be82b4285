"""A learner joins a class, leaves it, and decides whether to take part in its events."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

from gtlab.classroom import wire
from gtlab.classroom.link import BoardError, Link
from gtlab.contract import CLASS_VARIABLE
from gtlab.lab import classmate, json_files
from gtlab.localcloud import process

HUB = "hub"  # in place of an address


class Refused(ValueError):
    """The class cannot be joined. The text says why and what to do."""


def join(url: str = "", code: str = "", name: str = "", *, certificate: str | Path | None = None) -> None:
    """Join your instructor's class, and print what your machine sends from now on. Without a ``url``, as when you learn
    alone, nothing happens. On a JupyterHub that has a class, ``join("hub")`` is enough: the hub knows your name.

    Joining the same class again, as by running a cell twice, changes nothing. ``certificate`` is a PEM file to trust,
    if your instructor gives you one. Raises ValueError if the address, the code or the name is not accepted.
    """
    if not url.strip():
        print(f"This hub has a class, which you have not joined. {wire.NOTICE}\nTo join it: classroom.join(\"{HUB}\")"
              if os.environ.get(CLASS_VARIABLE) and not classmate.member() else
              "No class: you learn alone. With an instructor's address and code, this joins a class.")
        return
    joined = enter(url, code, name, certificate)
    print(f"You are in the class “{joined['class']}” as {joined['name']}.\n{wire.NOTICE}\n"
          "To leave: classroom.leave(), or gtlab class leave. To stay out of the class's events: "
          "classroom.events(False), or gtlab class events off.")
    classmate.follow()


def enter(url: str, code: str, name: str, certificate: str | Path | None = None) -> dict[str, Any]:
    """Join, start the background process, and return the membership. Raises Refused or ValueError."""
    trusted = str(Path(certificate).resolve()) if certificate else None
    try:
        if is_hub(url):
            link, checked, code = hub_link(), "", ""
        else:
            link, checked = Link(url, certificate=trusted), wire.name(name)
        before = classmate.member()
        if before and before["url"] == link.url and before["asked"] == checked and _accepted(before):
            classmate.ensure_process()
            return before
        answer = link.ask("join", {"code": code, "name": checked})
    except BoardError as error:
        raise Refused(str(error)) from None
    except wire.Refused as error:
        raise Refused(f"{name!r} is not accepted as a name. {error}") from None
    except OSError as error:
        raise Refused(f"The certificate {certificate} cannot be read: {error.strerror or error}.") from None
    if before:
        leave()
    membership = {"url": link.url, "code": wire.code(code), "asked": checked, "name": str(answer["name"]),
                  "class": str(answer["class"]), "token": str(answer["token"]), "certificate": trusted,
                  "hub": is_hub(url),
                  "events": True, "joined": time.time()}
    keep(membership)
    classmate.ensure_process()
    return membership


def is_hub(url: str) -> bool:
    """Whether this stands for the class of the JupyterHub that this machine belongs to."""
    return url.strip().casefold() == HUB


def hub_link() -> Link:
    """The way to the class of the hub, with the token that the hub has given this learner's server. Raises ValueError.
    """
    url, token = os.environ.get(CLASS_VARIABLE), os.environ.get("JUPYTERHUB_API_TOKEN")
    if not url or not token:
        raise ValueError("This machine belongs to no JupyterHub with a class. Give the address that your instructor "
                         "shows, and the code.")
    return Link(url, token)


def join_again(membership: dict[str, Any]) -> dict[str, Any]:
    """Join a board that has lost its register, with the same code and name. Returns its answer. Raises BoardError."""
    link = hub_link() if membership.get("hub") else Link(membership["url"], certificate=membership.get("certificate"))
    return link.ask("join", {"code": membership["code"], "name": membership["asked"]})


def keep(membership: dict[str, Any]) -> None:
    """Write the membership. Only its owner may read it: it has a token."""
    with json_files.changing(classmate.MEMBER_FILE) as content:
        content.clear()
        content.update(membership)
    with contextlib.suppress(OSError):
        (process.state_folder() / classmate.MEMBER_FILE).chmod(0o600)


def leave() -> bool:
    """Leave the class: nothing is sent from now on, and everything is open. What the board has, it keeps; ask your
    instructor to remove you there. Returns whether you were in one."""
    was = classmate.member() is not None
    folder = process.state_folder()
    for name in (classmate.MEMBER_FILE, classmate.NEWS_FILE, classmate.PLACE_FILE, classmate.LAGS_FILE):
        (folder / name).unlink(missing_ok=True)
    return was


def events(take_part: bool) -> None:
    """Take part in the class's events, or not: whether the instructor may break your local cloud for a while. It takes
    effect at once, also during an event. Raises ValueError if you are not in a class."""
    found = classmate.member()
    if found is None:
        raise ValueError("You are not in a class. To join one: gtlab class join URL CODE --as NAME")
    keep({**found, "events": bool(take_part)})
    print("You take part in the class's events." if take_part else
          "You stay out of the class's events: nothing in your local cloud is changed.")


def status() -> str:
    """Your class in a sentence or two."""
    found = classmate.member()
    if found is None:
        return "You are not in a class. To join one: gtlab class join URL CODE --as NAME"
    connected = classmate.news().get("connected", False)
    return (f"You are in the class “{found['class']}” as {found['name']}, at {found['url']}. The board is "
            + ("connected." if connected else "not connected; what you do is sent when it is there again.")
            + ("" if found["events"] else " You stay out of the class's events."))


def _accepted(membership: dict[str, Any]) -> bool:
    """Whether the board still knows this learner. If it does not answer, the membership is kept."""
    try:
        Link(membership["url"], membership["token"], membership["certificate"]).ask("clock")
    except BoardError as error:
        return error.status not in (401, 403)
    return True
