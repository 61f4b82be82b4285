"""The kernels that run a tour's notebooks: this Python, with a client that does not miss an answer."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from traitlets.config import Config

_LOOK_AGAIN_S = 0.1
_LEAVE_S = 5.0  # how long a kernel may take to end, as in jupyter_client
# At its end, Python looks for garbage among all objects of a kernel, several times: with pandas and widgets, a quarter
# of the processor time of a kernel that only imports them. The names are not left in the notebook's namespace, and the
# semicolon keeps IPython from displaying the result.
_END_SOON = "--IPKernelApp.exec_lines=__import__('atexit').register(__import__('gc').freeze);"
_LONGEST_SOCKET = 100  # characters in the path of a Unix socket; macOS allows 103, Linux 107


class Leaving:
    """Kernels that were asked to end. That takes about half a second, in which the next notebook starts."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []

    def add(self, kernel: subprocess.Popen[bytes]) -> None:
        self._threads.append(threading.Thread(target=self._end, args=(kernel,)))
        self._threads[-1].start()

    def close(self) -> None:
        """Wait until all of them have ended."""
        for thread in self._threads:
            thread.join()

    @staticmethod
    def _end(kernel: subprocess.Popen[bytes]) -> None:
        for force in (kernel.terminate, kernel.kill):
            try:
                kernel.wait(_LEAVE_S / 2)
                return
            except subprocess.TimeoutExpired:
                force()
        kernel.wait()


@dataclass(frozen=True)
class Kernels:
    """How the notebooks' kernels run: `env` is added to their environment, and `timeout_s` is the longest that one cell
    may take. `leaving` has those that were asked to end."""

    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 600
    leaving: Leaving = field(default_factory=Leaving)


def kernel_manager(kernels: Kernels) -> type:
    """A kernel manager that runs this very Python, whatever kernelspec JUPYTER_PATH has under "python3". It does not
    wait for a kernel to end: `kernels.leaving` does.

    Where it can, it speaks to the kernel through Unix sockets in a folder of their own. With TCP, a kernel is told
    ports that were free a second ago, and another program may have one by then: the kernel then ends or hangs
    (github.com/jupyter/jupyter_client/issues/154).
    """
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from traitlets import Type

    # jupyter_client fills in ${...} in a kernelspec's environment; ours is meant literally.
    literal = {name: value.replace("$", "$$") for name, value in kernels.env.items()}
    spec = KernelSpec(**{**get_kernel_dict([_END_SOON]), "env": literal})

    class ThisPython(AsyncKernelManager):
        client_factory = Type(_patient_client())

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            sockets = _socket_folder()
            if sockets:
                self.transport, self.ip = "ipc", os.path.join(sockets, "kernel")

        def cleanup_ipc_files(self) -> None:
            super().cleanup_ipc_files()
            if self.transport == "ipc":
                shutil.rmtree(os.path.dirname(self.ip), ignore_errors=True)

        @property
        def kernel_spec(self) -> KernelSpec:
            return spec

        async def _async_interrupt_kernel(self) -> None:
            if not self.shutting_down:  # an idle kernel would print an error about the interrupt
                await super()._async_interrupt_kernel()

        async def _async_finish_shutdown(self, *args: Any, **options: Any) -> None:
            kernel = getattr(self.provisioner, "process", None)
            if isinstance(kernel, subprocess.Popen):
                kernels.leaving.add(kernel)
            else:
                await super()._async_finish_shutdown(*args, **options)

    return ThisPython


def _socket_folder() -> str | None:
    """A new folder for a kernel's sockets; None where a kernel cannot use Unix sockets."""
    if os.name != "posix" or len(os.path.join(tempfile.gettempdir(), "gtlab-12345678", "kernel-5")) > _LONGEST_SOCKET:
        return None
    return tempfile.mkdtemp(prefix="gtlab-")


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
