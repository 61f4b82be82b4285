"""The kernels that run a tour's notebooks: this Python, with a client that does not miss an answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from traitlets.config import Config

_LOOK_AGAIN_S = 0.1


@dataclass(frozen=True)
class Kernels:
    """How the notebooks' kernels run: `env` is added to their environment, and `timeout_s` is the longest that one cell
    may take."""

    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 600


def kernel_manager(env: Mapping[str, str]) -> type:
    """A kernel manager that runs this very Python, whatever kernelspec JUPYTER_PATH has under "python3"."""
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from traitlets import Type

    # jupyter_client fills in ${...} in a kernelspec's environment; ours is meant literally.
    literal = {name: value.replace("$", "$$") for name, value in env.items()}
    spec = KernelSpec(**{**get_kernel_dict(), "env": literal})

    class ThisPython(AsyncKernelManager):
        client_factory = Type(_patient_client())

        @property
        def kernel_spec(self) -> KernelSpec:
            return spec

    return ThisPython


def _patient_client() -> type:
    """A kernel client that looks for an answer again and again while it waits for one.

    nbclient sends a widget's Output back to the kernel on the channel on which it waits for the cell's reply; a reply
    that comes during a long send is then noticed only when the wait times out (github.com/jupyter/nbclient/issues/312).
    """
    from queue import Empty

    from jupyter_client.asynchronous import AsyncKernelClient
    from jupyter_client.channels import AsyncZMQSocketChannel
    from traitlets import Type

    class LookingAgain(AsyncZMQSocketChannel):
        async def get_msg(  # type: ignore[override]  # the base class's is a coroutine, too, whatever its annotation says
                self, timeout: float | None = None) -> dict[str, Any]:
            deadline = None if timeout is None else time.monotonic() + timeout
            while True:
                left = _LOOK_AGAIN_S if deadline is None else max(0.0, deadline - time.monotonic())
                try:
                    return await super().get_msg(min(_LOOK_AGAIN_S, left))
                except Empty:
                    if left <= _LOOK_AGAIN_S and deadline is not None:
                        raise

    class PatientClient(AsyncKernelClient):
        shell_channel_class = Type(LookingAgain)

    return PatientClient


def kernel_config() -> Config:
    """Encrypt the kernel's transport where possible: ipykernel 7.3 and later warns on stderr otherwise."""
    import zmq
    from traitlets.config import Config

    return Config({"KernelManager": {"transport_encryption": "auto"}} if zmq.has("curve") else {})
