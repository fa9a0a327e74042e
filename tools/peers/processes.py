"""Processes of one comparison: started, awaited, measured, and ended by pid whatever happens.

Everything runs in the session of the caller: Linux shares the cores between sessions first, so a server in a session of
its own would get another share than ours do.
"""

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

SET_PARENT_DEATH_SIGNAL, SET_CHILD_SUBREAPER = 1, 36  # of prctl(2)
LIBC = ctypes.CDLL(None)


class Failed(Exception):
    """Why a figure or a peer is missing, in words for the user."""


class Processes:
    """Knows every process it started by name; their logs and data lie in a temporary folder."""

    def __init__(self, parent, keep=False):
        parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
        self.keep, self.running = keep, {}

    def __enter__(self):
        # Grandchildren whose parent died become ours, so that they can be found and ended.
        LIBC.prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        return self

    def __exit__(self, *_):
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, signal.SIG_IGN)
        self.stop(list(self.running))
        end_descendants()
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def data(self, name):
        """An empty folder for the data of one process."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def start(self, name, command, env=None, stdout=None):
        with open(self.folder / f"{name}.log", "wb") as log:
            try:
                process = subprocess.Popen(
                    [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=stdout or log, stderr=log,
                    cwd=self.folder, env=self.environment(env), preexec_fn=away_from_the_terminal,
                )  # fmt: skip
            except OSError as error:
                raise Failed(f"{name} does not start: {error}") from None
        self.running[name] = process
        return process

    def run(self, name, command, within, env=None):
        """Runs a driver to its end; the JSON document on its stdout."""
        process = self.start(name, command, env, stdout=subprocess.PIPE)
        try:
            text = process.communicate(timeout=within)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            raise Failed(f"{name} did not end within {within:.0f} s{self.tail(name)}") from None
        finally:
            self.stop([name])
        if process.returncode != 0:
            raise Failed(f"{name} ended with status {process.returncode}{self.tail(name)}")
        try:
            return json.loads(text)
        except ValueError:
            raise Failed(f"{name} printed no JSON document but {text[:200]!r}") from None

    def succeeds(self, name, command, within):
        """Runs a command of a peer to its end; whether it ended well."""
        process = self.start(name, command)
        try:
            return process.wait(within) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            self.stop([name])

    def stop(self, names):
        """Asks all of them to end, then makes them, with what they left behind."""
        processes = [self.running.pop(name) for name in names if name in self.running]
        for process in processes:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + 8
        for process in processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()
        if not self.running:
            end_descendants()

    def wait_for(self, what, condition, within, every=0.02):
        """The first true value of `condition`; a server that is not reachable yet is no failure, one that ended is."""
        deadline, last = time.monotonic() + within, None
        while time.monotonic() < deadline:
            self.check_alive()
            try:
                value = condition()
            except OSError as error:
                value, last = None, error
            if value:
                return value
            time.sleep(every)
        raise Failed(f"waited {within} s for {what}" + (f"; last answer: {last}" if last else ""))

    def check_alive(self):
        for name, process in self.running.items():
            if process.poll() is not None:
                raise Failed(f"{name} ended by itself with status {process.returncode}{self.tail(name)}")

    def tail(self, name):
        lines = (self.folder / f"{name}.log").read_text(errors="replace").splitlines()[-8:]
        return "".join(f"\n    {line[:300]}" for line in lines)

    def environment(self, extra):
        """Without settings of the user's own orc, with the temporary data on the same disk for both sides."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("ORC_", "RESTATE_", "ETCD"))}
        return {**clean, "TMPDIR": str(self.folder), **(extra or {})}


def away_from_the_terminal():
    """In the child: Ctrl-C reaches the comparison alone, which ends its children. They end even when it is killed."""
    os.setpgid(0, 0)
    LIBC.prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)


def end_descendants():
    """What drivers that failed left running: by now every descendant of ours."""
    for _ in range(20):
        left = descendants()
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except OSError:
                continue  # it ended meanwhile, or it is its parent that has to wait for it
        time.sleep(0.02)


def descendants():
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue  # it ended meanwhile
    ours, found = {os.getpid()}, []
    while new := [pid for pid, parent in parents.items() if parent in ours and pid not in ours]:
        ours.update(new)
        found += new
    return found


def call(method, url, body=None, within=5):
    """The answer as JSON; any failure is an OSError."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urlopen(request, timeout=within) as answer:
            text = answer.read()
    except HTTPError as error:
        raise OSError(f"{error.code}: {error.read(300).decode(errors='replace')}") from None
    return json.loads(text) if text[:1] in (b"{", b"[") else {"status": "ok"}


def is_open(port):
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
