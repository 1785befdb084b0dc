"""The kernel of a notebook as a fork of a process that has imported its libraries."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

from commands import warm_start

NAME = "forked"
LAUNCHER = "ipykernel_launcher"


@contextmanager
def forked_kernel() -> Iterator[None]:
    """Let the kernel that is started in this block be a fork of this process, if possible.

    It is possible if this process is itself a fork of one that has imported the libraries under
    the settings of the kernel. Otherwise the kernel is started as usual.

    The fork is made when the block begins, because Jupyter's sockets must not be forked. It ends
    with the block, even if no kernel was started.
    """
    if not _fits():
        yield
        return
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writer)
        warm_start.exit_after(lambda: _wait_and_become_kernel(reader))
    os.close(reader)
    kernel = _Kernel(pid, writer)
    # As if it were installed: the project is no installed package with entry points.
    value = f"{__name__}:{ForkedProvisioner.__name__}"
    entry = EntryPoint(NAME, value, KernelProvisionerFactory.GROUP_NAME)
    KernelProvisionerFactory.provisioners[NAME] = entry
    ForkedProvisioner.waiting = kernel
    os.environ[KernelProvisionerFactory.default_provisioner_name_env] = NAME
    try:
        yield
    finally:
        del os.environ[KernelProvisionerFactory.default_provisioner_name_env]
        kernel.end()


def _fits() -> bool:
    settings = warm_start.imported_with
    return settings is not None and all(os.environ.get(n) == v for n, v in settings.items())


def _wait_and_become_kernel(reader: int) -> None:
    # As Jupyter starts kernels: ending the runner's group must leave time to stop the kernel.
    os.setsid()
    with os.fdopen(reader, encoding="utf-8") as stream:
        line = stream.readline()
    if not line:
        return  # no kernel was started
    request = json.loads(line)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = [LAUNCHER, *request["arguments"]]
    from ipykernel.kernelapp import IPKernelApp

    # With the parent given, the kernel ends when the parent does.
    IPKernelApp.launch_instance(argv=request["arguments"], parent_handle=os.getppid())


class _Kernel:
    """A fork that waits to become a kernel, with the interface of `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, writer: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._request = os.fdopen(writer, "w", encoding="utf-8")

    def start(self, arguments: list[str], environment: dict[str, str], folder: str) -> None:
        """Let it become a kernel."""
        request = {"arguments": arguments, "environment": environment, "folder": folder}
        with self._request:
            self._request.write(json.dumps(request) + "\n")

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        return self._wait(os.WNOHANG)

    def wait(self) -> int | None:
        """Wait for its end and return the exit status."""
        return self._wait(0)

    def _wait(self, options: int) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, options)
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def end(self) -> None:
        """End it and the processes that it has started."""
        self._request.close()
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has no group of its own yet
                os.killpg(self.pid, signal.SIGKILL)
            self.kill()
            self.wait()


class ForkedProvisioner(LocalProvisioner):
    """Starts a kernel by letting a fork become it."""

    waiting: _Kernel

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Let the fork become the kernel that a command line would start."""
        arguments = cmd[cmd.index(LAUNCHER) + 1 :]
        self.cwd = kwargs.get("cwd", Path.cwd())
        self.waiting.start(arguments, dict(kwargs["env"]), os.fspath(self.cwd))
        self.process = self.waiting
        self.pid = self.pgid = self.waiting.pid
        return self.connection_info
