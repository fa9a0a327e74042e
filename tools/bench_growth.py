#!/usr/bin/env python3
"""make bench-growth: what creating, completing and listing cost beside many live runs, and what a node's start, its memory
and a new member's snapshot cost after many ended ones. Prints two tables. Standard library only.
"""

import argparse
import contextlib
import http.client
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from demo import Cluster, Failed, build, call, caught_up, get, three_voters, wait_for
from machine import resident_mib

BYSTANDER = {"definition": {"name": "bystander", "steps": [{"name": "later", "type": "delay", "delay": "24h"}]}}
FILLERS = 16
PAGE = "/runs?limit=50"
PATIENCE_S = 600


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--live", default="100,10000,100000", help="live runs, rising (default 100,10000,100000)")
    parser.add_argument("--ended", default="1000,1000000", help="ended runs, rising (default 1000,1000000)")
    parser.add_argument("--seconds", type=int, default=5, help="how long each load is measured (default 5)")
    parser.add_argument("--binary", type=Path, help="orc, instead of building it")
    arguments = parser.parse_args()
    binary = arguments.binary.resolve() if arguments.binary else build([])
    try:
        for lines in (live_runs(binary, arguments), ended_runs(binary, arguments)):
            print("\n".join(lines), end="\n\n", flush=True)
    except (Failed, OSError) as reason:
        sys.exit(f"error: {reason}")


def live_runs(binary, arguments):
    yield "| live runs | w1 64 in flight, runs/s | p50 ms | w3 64 in flight, puts/s | p50 ms | list 50, ms | node MiB |"
    yield "|---:|---:|---:|---:|---:|---:|---:|"
    with cluster_of(binary, nodes=(1, 2, 3)) as cluster:
        there = 0
        for live in map(int, arguments.live.split(",")):
            say(f"{live - there:,} more live runs")
            start_bystanders(cluster, live - there)
            there = live
            runs, puts = (bench(cluster, work, arguments.seconds) for work in ("w1", "w3"))
            page, memory = millis(lambda: get(cluster, PAGE)), max(memories(cluster))
            yield (
                f"| {live:,} | {runs['rate']:,.0f} | {runs['p50Ms']:.1f} | {puts['rate']:,.0f} | {puts['p50Ms']:.1f} "
                f"| {page:.1f} | {memory:.0f} |"
            )


def ended_runs(binary, arguments):
    columns = ["ended runs", "w1 64 in flight, runs/s", "p50 ms", "list 50, ms", "node MiB", "on disk, MiB"]
    yield f"| {' | '.join([*columns, 'start to first write, ms', 'new member caught up, s'])} |"
    yield "|---:|---:|---:|---:|---:|---:|---:|---:|"
    for wanted in map(int, arguments.ended.split(",")):
        with cluster_of(binary, nodes=(1,)) as cluster:
            ended = fill(cluster, wanted)
            runs = bench(cluster, "w1", arguments.seconds)
            page, memory = millis(lambda: get(cluster, PAGE, [1])), max(memories(cluster))
            size = folder_mib(cluster.folder / "node-1")
            started, joined = restart(cluster), join(cluster)
            yield (
                f"| {ended:,} | {runs['rate']:,.0f} | {runs['p50Ms']:.1f} | {page:.1f} | {memory:.0f} | {size:,.0f} "
                f"| {started:.0f} | {joined:.1f} |"
            )


@contextlib.contextmanager
def cluster_of(binary, nodes):
    folder = Path(tempfile.mkdtemp(prefix="orc-growth-"))
    cluster = Cluster(binary, folder)
    cluster.ports, cluster.http = cluster.http, {node: cluster.http[node] for node in nodes}
    try:
        for node in nodes:
            cluster.start_node(node)
            wait_for(f"node-{node}", lambda node=node: put(cluster, node), 60)
        if len(nodes) == 3:
            wait_for("three voters", lambda: three_voters(cluster), 60)
        limits = {"maxConcurrentWorkflows": 1_000_000, "maxLiveRuns": 1_000_000, "maxConcurrentTasks": 100_000}
        call("PUT", cluster.url(1) + "/api/v1/cluster/config", limits, timeout=10)
        yield cluster
    except Failed:
        print("\n".join(cluster.tails()), file=sys.stderr)
        raise
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def put(cluster, node):
    return call("PUT", cluster.url(node) + "/api/v1/state/keys/growth", {"value": time.time()})


def start_bystanders(cluster, count):
    """Runs that wait for a day, started by some callers over connections of their own."""
    failures, nodes = [], list(cluster.http)

    def start(place):
        connection = http.client.HTTPConnection(urlsplit(cluster.url(nodes[place % len(nodes)])).netloc, timeout=30)
        for _ in range(place, count, FILLERS):
            connection.request("POST", "/api/v1/runs", json.dumps(BYSTANDER), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status >= 300:
                failures.append(f"a bystander was refused: {answer.status} {text[:300]!r}")
                return

    callers = [threading.Thread(target=start, args=(place,)) for place in range(FILLERS)]
    for step in (threading.Thread.start, threading.Thread.join):
        for caller in callers:
            step(caller)
    if failures:
        raise Failed(failures[0])


def fill(cluster, wanted):
    """Runs to their ends until there are so many; how many there are."""
    ended = 0
    while ended < wanted:
        # A second is the least that can be measured; the warm-up's runs come on top and are not counted.
        seconds = 1 if wanted - ended < 20_000 else 20
        figures = bench(cluster, "w1", seconds, in_flight=256 if seconds > 1 else 16)
        ended += round(figures["rate"] * seconds)
        say(f"{ended:,} of {wanted:,} runs have ended, {max(memories(cluster)):.0f} MiB")
    return ended


def bench(cluster, work, seconds, in_flight=64):
    command = [cluster.binary, "bench", work, "--addr", cluster.addresses, "--in-flight", in_flight, "--seconds", seconds]
    told = subprocess.run([*map(str, command), "-q", "-o", "json"], capture_output=True, text=True, timeout=PATIENCE_S)
    if told.returncode != 0:
        raise Failed(f"{work}: {told.stderr.strip()}")
    figures = json.loads(told.stdout)
    if figures["errors"]:
        raise Failed(f"{work}: {figures['errors']} errors, the first one: {figures['firstError']}")
    return figures


def millis(action, times=20):
    def once(_):
        began = time.perf_counter()
        action()
        return (time.perf_counter() - began) * 1e3

    return statistics.median(map(once, range(times)))


def restart(cluster):
    """Milliseconds from the node's start to its first accepted write, after a graceful stop."""
    node = cluster.processes.pop("node-1")
    node.terminate()
    node.wait(60)
    began = time.monotonic()
    cluster.start_node(1)
    wait_for("the node to accept a write", lambda: put(cluster, 1), 120, every=0.01)
    return (time.monotonic() - began) * 1e3


def join(cluster):
    """Seconds from the start of an empty second node until it is a voter whose state has the leader's hash."""
    began = time.monotonic()
    cluster.http[2] = cluster.ports[2]
    cluster.start_node(2)
    wait_for("node-2 to have caught up", lambda: is_member(cluster, 2) and caught_up(cluster, 2), 300, every=0.05)
    return time.monotonic() - began


def is_member(cluster, node):
    return f"node-{node}" in [entry["id"] for entry in get(cluster, "/cluster")["nodes"]]


def memories(cluster):
    return [resident_mib(process.pid) for process in cluster.processes.values()]


def folder_mib(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20


def say(text):
    print(f"• {text}", file=sys.stderr)


if __name__ == "__main__":
    main()
