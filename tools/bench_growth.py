#!/usr/bin/env python3
"""Does cost grow? The same work beside more and more live runs, and on top of more and more ended ones, as two tables.

Live: three nodes, one cluster for all rows; beside the load, so many active runs whose only task nobody takes.
Ended: one node, a new cluster for each row, filled to so many ended runs. Exit status 1 when something fails.
"""

import argparse
import json
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

from machine import free_ports, resident_mib
from peers import install
from peers.processes import Failed, Processes, call

FEW_ENDED = 1_000
RARE = 20  # cancelled runs with a label of their own: the oldest ones
NEVER = {"name": "never", "type": "task", "config": {"action": "nobody-serves-this"}}
BYSTANDER = {"name": "bystander", "steps": [NEVER]}
DAY_MS = 86_400_000
LIMITS = {
    "maxConcurrentWorkflows": 1_000_000, "maxLiveRuns": 10_000_000, "maxLiveTasks": 10_000_000,
    "workflow": {"workflowTimeout": DAY_MS, "stepTimeout": DAY_MS},
}  # fmt: skip
# Without a log behind its snapshot a node has to send the snapshot to one that joins, however small it is.
ENDED_FLAGS = ["--set", "snapshot.keep-entries=0"]
PAGES = {
    "page ms": "",
    "completed ms": "&status=completed",
    "of none ms": "&status=failed",
    "rare status ms": "&status=cancelled",
    "rare label ms": "&label=growth:rare",
    "both ms": "&status=cancelled&workflow=bystander&label=growth:rare,growth:none",
    "oldest ms": "&sort=createdAt",
    "by end ms": "&sort=-endedAt",
    "rare by end ms": "&sort=-endedAt&status=cancelled",
    "text, none ms": "&q=nothing-has-this",
}
CREATORS, LOOKS, RESTARTS, CHUNK_S = 48, 20, 3, 20
BENCH_PATIENCE_S = 150  # beyond the measured time: workers, the warm-up, the end
STARTED = time.monotonic()


def main():
    arguments = parse_arguments()
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: sys.exit(143))
    try:
        orc = arguments.binary.resolve() if arguments.binary else install.orc()
        print_table("Live runs beside the load, three nodes", live_rows(orc, arguments) if arguments.live else [])
        ended = [ended_row(orc, count, arguments) for count in ended_counts(arguments)]
        print_table("Ended runs in the archive, one node", ended)
    except (Failed, OSError) as reason:
        print(f"error after {clock()}: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: every node was ended", file=sys.stderr)
        return 130
    return 0


class Cluster:
    """Nodes of one cluster as processes, and their addresses."""

    def __init__(self, processes, orc, nodes, flags=()):
        self.processes, self.orc, self.flags = processes, orc, flags
        ports = free_ports(2 * nodes)
        self.http, self.peer = dict(enumerate(ports[:nodes], 1)), dict(enumerate(ports[nodes:], 1))

    def start(self, node):
        joining = ["--bootstrap"] if node == 1 else ["--join", f"127.0.0.1:{self.peer[1]}"]
        command = [
            self.orc, "server", "--node-id", node, "--data-dir", self.folder(node), *self.flags, *joining,
            "--listen", f"127.0.0.1:{self.http[node]}", "--peer-listen", f"127.0.0.1:{self.peer[node]}",
        ]  # fmt: skip
        self.processes.start(f"node-{node}", command)

    def stop(self, node):
        self.processes.stop([f"node-{node}"])

    def running(self):
        return [node for node in self.http if f"node-{node}" in self.processes.running]

    def folder(self, node):
        return self.processes.folder / f"data-{node}"

    def call(self, method, path, body=None, within=5):
        return call(method, f"http://127.0.0.1:{self.http[1]}{path}", body, within)

    def voters(self):
        """Those that have applied all that the leader has; learners and nodes that lag are left out."""
        nodes = {node["id"]: node for node in self.call("GET", "/api/v1/cluster")["nodes"]}
        leader = next((node for node in nodes.values() if node["role"] == "leader"), {})
        same = lambda node: all(node.get(field) == leader.get(field) for field in ("applied", "stateHash"))
        return [name for name, node in nodes.items() if node["role"] in ("leader", "follower") and same(node)]

    def write(self, value):
        return self.call("PUT", "/api/v1/state/keys/growth.probe", {"value": value}, within=1)

    def metric(self, name):
        """Its sum over its labels, as the first node tells it."""
        connection = self.connect(1)
        lines = ask(connection, "GET", "/metrics").decode().splitlines()
        connection.close()
        return int(sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{"))))

    def ended(self):
        """Runs that have ended since the first node started."""
        return self.metric("orc_workflow_runs_total")

    def connect(self, node):
        return HTTPConnection("127.0.0.1", self.http[node], timeout=30)

    def median_ms(self, path):
        """Over one connection; the first look, which opens it, does not count."""
        connection, times = self.connect(1), []
        for _ in range(LOOKS + 1):
            began = time.monotonic()
            ask(connection, "GET", path)
            times.append(1e3 * (time.monotonic() - began))
        connection.close()
        return median(times[1:])

    def memory_mib(self):
        """Of the largest node."""
        return max(resident_mib(self.processes.running[f"node-{node}"].pid) for node in self.running())

    def bench(self, work, seconds, *more):
        addresses = ",".join(f"http://127.0.0.1:{self.http[node]}" for node in self.running())
        command = [self.orc, "bench", work, "--seconds", seconds, *more, "--addr", addresses, "-q", "-o", "json"]
        figures = self.processes.run("orc-bench", command, seconds + BENCH_PATIENCE_S)
        if figures["errors"]:
            raise Failed(f"orc bench {work}: {figures['errors']} failed, the first one: {figures.get('firstError')}")
        return figures


# Beside live runs.


def live_rows(orc, arguments):
    with Processes(install.ROOT / "target") as processes:
        cluster, rows, live = Cluster(processes, orc, 3), [], 0
        for node in cluster.http:
            cluster.start(node)
            processes.wait_for("the first node to accept a write", lambda: cluster.write(0), 30)
        processes.wait_for("three voters", lambda: len(cluster.voters()) == 3, 60)
        cluster.call("PUT", "/api/v1/cluster/config", LIMITS)
        for count in sorted(arguments.live):
            say(f"creating {count - live:,} live runs, then orc bench w1, w3")
            rate = create_runs(cluster, count - live)
            rows.append({"live (active)": count, "created/s": rate, **live_row(cluster, arguments)})
            live, found = count, cluster.metric("orc_workflow_runs_active")
            if found != live:
                raise Failed(f"{found:,} runs are active after the load, not {live:,}")
        return rows


def live_row(cluster, arguments):
    """Before the load the live runs are the newest, after it they are behind what it has completed."""
    row = {"list ms": cluster.median_ms("/api/v1/runs?limit=50")}
    row["list of none ms"] = cluster.median_ms("/api/v1/runs?limit=50&status=failed")
    for work in ("w1", "w3"):
        figures = cluster.bench(work, arguments.seconds, "--in-flight", 64, "--repeat", arguments.rounds)
        row |= {f"{work}/s": figures["rate"], f"{work} p50 ms": figures["p50Ms"]}
    row["list running ms"] = cluster.median_ms("/api/v1/runs?limit=50&status=running")
    return {**row, "MiB": cluster.memory_mib()}


def create_runs(cluster, count):
    """Runs created a second. Each thread keeps a connection to one of the nodes."""
    body, began = json.dumps({"definition": BYSTANDER}), time.monotonic()

    def create(place):
        connection = cluster.connect(1 + place % len(cluster.http))
        for _ in range(place, count, CREATORS):
            ask(connection, "POST", "/api/v1/runs", body)
        connection.close()

    with ThreadPoolExecutor(CREATORS) as threads:
        list(threads.map(create, range(CREATORS)))
    return count / (time.monotonic() - began)


# On top of ended runs.


def ended_counts(arguments):
    return sorted({min(FEW_ENDED, arguments.ended), arguments.ended} - {0})


def ended_row(orc, count, arguments):
    with Processes(install.ROOT / "target") as processes:
        cluster = Cluster(processes, orc, 2, ENDED_FLAGS)  # the second node joins at the end
        cluster.start(1)
        processes.wait_for("node-1 to accept a write", lambda: cluster.write(0), 30)
        old = fill(cluster, count)
        row = {"ended": cluster.ended(), "MiB after load": cluster.memory_mib()}
        row["data MiB"] = data_mib(cluster.folder(1))
        say("lists, restarts")
        row |= {name: cluster.median_ms(f"/api/v1/runs?limit=50{query}") for name, query in PAGES.items()}
        found = cluster.call("GET", "/api/v1/runs?limit=50&label=growth:rare")
        if (len(found["items"]), found["total"]) != (RARE, RARE):
            raise Failed(f"{len(found['items'])} runs have the rare label, not {RARE}")
        row |= {
            "old run ms": cluster.median_ms(f"/api/v1/runs/{old}"),
            "restart ms": median(restart_ms(cluster) for _ in range(RESTARTS)),
            "MiB restarted": cluster.memory_mib(),
        }
        say("snapshot, second node, w1")
        row |= {"snapshot ms": snapshot_ms(cluster), "join ms": join_ms(cluster)}
        figures = cluster.bench("w1", arguments.seconds, "--in-flight", 64, "--repeat", arguments.rounds)
        return row | {"w1/s": figures["rate"], "w1 p50 ms": figures["p50Ms"]}


def fill(cluster, count):
    """Completes at least so many runs; the id of one of the first."""
    for _ in range(RARE):
        body = {"definition": BYSTANDER, "labels": {"growth": "rare"}}
        run = cluster.call("POST", "/api/v1/runs", body)["runId"]
        cluster.call("POST", f"/api/v1/runs/{run}/cancel", {})
    say(f"completing {count:,} runs")
    cluster.bench("w1", 1, "--rate", min(count, FEW_ENDED), "--warm-up", "0s")
    old = cluster.call("GET", "/api/v1/runs?limit=50")["items"][-1]["id"]
    rate = count  # not known yet: the first load is short
    while (missing := count - cluster.ended()) > count // 100:
        seconds = max(1, min(CHUNK_S, int(missing / rate)))
        rate = cluster.bench("w1", seconds, "--in-flight", 256, "--warm-up", "0s")["rate"]
        say(f"{cluster.ended():,} runs have ended, {rate:,.0f}/s")
    return old


def restart_ms(cluster):
    """From the start of the process to its first accepted write."""
    cluster.stop(1)
    began = time.monotonic()
    cluster.start(1)
    cluster.processes.wait_for("a write after the restart", lambda: cluster.write(began), 120, every=0.002)
    return 1e3 * (time.monotonic() - began)


def snapshot_ms(cluster):
    """Of everything; the node looks every 50 ms whether it is there."""
    cluster.write("before the snapshot")
    began = time.monotonic()
    cluster.call("POST", "/api/v1/cluster/snapshot", within=70)
    return 1e3 * (time.monotonic() - began)


def join_ms(cluster):
    """From the start of a second node to its vote and the first node's state; it is removed again."""
    began = time.monotonic()
    cluster.start(2)
    cluster.processes.wait_for("the second node's vote", lambda: "node-2" in cluster.voters(), 300, every=0.005)
    took = 1e3 * (time.monotonic() - began)
    if "a snapshot arrives" not in (cluster.processes.folder / "node-2.log").read_text(errors="replace"):
        raise Failed("the second node was sent the log, not a snapshot")
    cluster.call("DELETE", "/api/v1/cluster/nodes/node-2", within=30)
    cluster.processes.wait_for("a cluster of one", lambda: cluster.voters() == ["node-1"], 30)
    cluster.stop(2)
    return took


def data_mib(folder):
    """A file with several names, as snapshots have, counts once."""
    sizes = {}
    for path in folder.rglob("*"):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue  # compacted away meanwhile
        sizes[found.st_ino] = 512 * found.st_blocks
    return sum(sizes.values()) / 2**20


# The rest: requests, words.


def ask(connection, method, path, body=None):
    """The body of the answer; anything but a success is an OSError."""
    connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status not in (200, 201):
        raise OSError(f"{method} {path}: {answer.status}: {text[:300].decode(errors='replace')}")
    return text


def print_table(title, rows):
    """The last line says how many times the smallest row's figure the largest row's is."""
    if not rows:
        return
    print(f"\n{title}\n")
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---:|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(map(figure, row.values())) + " |")
    times = (f"{last / first:.2f}" if first else "" for first, last in zip(rows[0].values(), rows[-1].values()))
    print("| " + " | ".join(("times", *list(times)[1:])) + " |", flush=True)


def figure(value):
    return f"{value:,.0f}" if value >= 100 or isinstance(value, int) else f"{value:.3g}"


def clock():
    return f"{time.monotonic() - STARTED:.0f} s"


def say(text):
    print(f"• {clock():>6}  {text}", file=sys.stderr, flush=True)


def numbers(text):
    return [int(part) for part in text.split(",") if part]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--live", type=numbers, default=[100, 10_000, 100_000], help="live runs; '' for none")
    parser.add_argument("--ended", type=int, default=1_000_000, help="ended runs of the second row, 0 for none")
    parser.add_argument("--seconds", type=int, default=5, help="how long each load is measured (default 5)")
    parser.add_argument("--rounds", type=int, default=1, help="how often, for medians (default 1)")
    parser.add_argument("--binary", type=Path, help="an orc binary to use instead of building one")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
