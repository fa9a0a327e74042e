"""What the tools ask the machine: ports that are free, and how much memory a process holds. Knows nothing of orc."""

import os
import socket
from pathlib import Path


def free_ports(count):
    """Ports the system says are free; all held until the last is known, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def resident_mib(pid):
    """Zero of a process that is gone."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0.0
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
