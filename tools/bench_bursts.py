#!/usr/bin/env python3
"""Do bursts hold others up? Three nodes: a `foreach` over many items beside state writes, and many timers at one instant.

Items: the same paced state writes are timed without and beside one run over all items; its outputs must be in order.
Timers: so many runs wait for one instant; each must end once, none before it, and the leader must stay the leader.
Exit status 1 when something fails or a promise is broken.
"""

import argparse
import json
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from statistics import median, quantiles

from bench_growth import CREATORS, LIMITS, Cluster, ask, say
from peers import install
from peers.processes import Failed, Processes

PACE_S = 0.01  # between state writes
STALL_MS = 100  # what the p99 of a write may grow by
END_WITHIN_S = 240


def main():
    arguments = parse_arguments()
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: sys.exit(143))
    try:
        orc = arguments.binary.resolve() if arguments.binary else install.orc()
        with Processes(install.ROOT / "target") as processes:
            cluster = three_nodes(processes, orc)
            items(cluster, orc, arguments)
            timers(cluster, arguments)
    except (Failed, OSError) as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 1
    return 0


def three_nodes(processes, orc):
    cluster = Cluster(processes, orc, 3)
    for node in cluster.http:
        cluster.start(node)
        processes.wait_for("the first node to accept a write", lambda: cluster.write(0), 30)
    processes.wait_for("three voters", lambda: len(cluster.voters()) == 3, 60)
    cluster.call("PUT", "/api/v1/cluster/config", LIMITS)
    return cluster


# Items.


def items(cluster, orc, arguments):
    for node in cluster.http:
        address = f"http://127.0.0.1:{cluster.http[node]}"
        name = f"worker-{node}"
        command = [orc, "worker", "--allow", "echo", "--slots", 100, "--name", name, "--addr", address, "-q"]
        cluster.processes.start(name, command)
    say(f"state writes alone for {arguments.seconds} s, one each {1e3 * PACE_S:.0f} ms")
    alone = Writes(cluster)
    time.sleep(arguments.seconds)
    alone = alone.stop()
    step = {
        "id": "each", "action": "echo", "config": {"item": "${{ item }}"},
        "foreach": {"items": "inputs.items", "maxParallel": arguments.parallel},
    }  # fmt: skip
    whole = list(range(arguments.items))
    definition = {"name": "fan out", "inputs": {"items": {"type": "array"}}, "steps": [step]}
    say(f"foreach over {arguments.items:,} items, {arguments.parallel} at once, beside the same writes")
    beside, began = Writes(cluster), time.monotonic()
    run = cluster.call("POST", "/api/v1/runs", {"definition": definition, "inputs": {"items": whole}})["runId"]
    view = ended(cluster, run)
    took = time.monotonic() - began
    beside = beside.stop()
    if view["status"] != "completed":
        raise Failed(f"the run is {view['status']}: {view.get('error')}")
    outputs = [output["item"] for output in view["steps"][0]["output"]]
    if outputs != whole:
        raise Failed("the outputs are not those of the items, in their order")
    print(f"\nforeach: {arguments.items:,} items in {took:.1f} s, {arguments.items / took:,.0f}/s\n")
    print("| state writes | count | p50 ms | p99 ms | max ms |\n|---|---:|---:|---:|---:|")
    for name, times in (("alone", alone), ("beside the foreach", beside)):
        p99 = quantiles(times, n=100)[98]
        print(f"| {name} | {len(times):,} | {median(times):.1f} | {p99:.1f} | {max(times):.1f} |")
    stall = quantiles(beside, n=100)[98] - quantiles(alone, n=100)[98]
    print(f"\np99 grows by {stall:.1f} ms", flush=True)
    if stall > STALL_MS:
        raise Failed(f"the p99 of a write grows by {stall:.0f} ms, more than {STALL_MS}")


class Writes(threading.Thread):
    """State writes, one after another and at most one each PACE_S, each timed in ms."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.connection, self.times, self.failed, self.over = cluster.connect(1), [], None, threading.Event()
        self.start()

    def run(self):
        try:
            while not self.over.is_set():
                began, body = time.monotonic(), json.dumps({"value": len(self.times)})
                ask(self.connection, "PUT", "/api/v1/state/keys/bursts.probe", body)
                took = time.monotonic() - began
                self.times.append(1e3 * took)
                time.sleep(max(0.0, PACE_S - took))
        except OSError as error:
            self.failed = error

    def stop(self):
        self.over.set()
        self.join(30)
        if self.failed:
            raise self.failed
        return self.times


def ended(cluster, run):
    deadline = time.monotonic() + END_WITHIN_S
    while time.monotonic() < deadline:
        view = cluster.call("GET", f"/api/v1/runs/{run}/wait?timeout=20000", within=30)
        if view.get("endedAt"):
            return view
    raise Failed(f"run {run} has not ended after {END_WITHIN_S} s")


# Timers.


def timers(cluster, arguments):
    instant = int(1e3 * time.time()) + 1_000 * arguments.ahead
    text = datetime.fromtimestamp(instant / 1e3, timezone.utc).isoformat(timespec="milliseconds")
    step = {"id": "timer", "wait": {"until": "timestamp(inputs.at)"}}
    definition = {"name": "timer", "inputs": {"at": {"type": "string"}}, "steps": [step]}
    body = json.dumps({"definition": definition, "inputs": {"at": text}})
    before = (leader(cluster), cluster.ended())
    say(f"{arguments.timers:,} runs wait for {text}")

    def create(place):
        connection = cluster.connect(1 + place % len(cluster.http))
        for _ in range(place, arguments.timers, CREATORS):
            ask(connection, "POST", "/api/v1/runs", body)
        connection.close()

    with ThreadPoolExecutor(CREATORS) as threads:
        list(threads.map(create, range(CREATORS)))
    left = instant / 1e3 - time.time()
    if left < 2:
        raise Failed(f"creating the runs took until {left:.1f} s before the instant: give it more with --ahead")
    wait_until = time.monotonic() + left + END_WITHIN_S
    while cluster.ended() < before[1] + arguments.timers and time.monotonic() < wait_until:
        time.sleep(0.2)
    time.sleep(1)  # one that fires twice would be counted now
    runs = every(cluster, "/api/v1/runs?workflow=timer&limit=500")
    late = sorted(moment(run["endedAt"]) - instant for run in runs if run.get("endedAt"))
    completed = sum(run["status"] == "completed" for run in runs)
    ends = cluster.ended() - before[1]
    print(f"\ntimers: {len(runs):,} runs, {completed:,} completed, {ends:,} ends counted")
    print(f"after the instant: first {late[0]} ms, median {median(late):.0f} ms, last {late[-1]} ms")
    after = leader(cluster)
    print(f"leader {before[0][0]} of term {before[0][1]}, then {after[0]} of term {after[1]}", flush=True)
    if not (len(runs) == completed == ends == arguments.timers):
        raise Failed("not every timer fired once")
    if late[0] < 0:
        raise Failed("a timer fired early")
    if before[0] != after:
        raise Failed("leadership was lost")


def leader(cluster):
    view = cluster.call("GET", "/api/v1/cluster")
    return next(node["id"] for node in view["nodes"] if node["role"] == "leader"), view["term"]


def every(cluster, path):
    page, items = cluster.call("GET", path, within=30), []
    while True:
        items += page["items"]
        if not page.get("nextCursor"):
            return items
        page = cluster.call("GET", f"{path}&cursor={page['nextCursor']}", within=30)


def moment(text):
    return round(1e3 * datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000, help="items of the foreach (default 10000)")
    parser.add_argument("--parallel", type=int, default=100, help="items at work at once (default 100)")
    parser.add_argument("--timers", type=int, default=10_000, help="runs that wait for one instant (default 10000)")
    parser.add_argument("--ahead", type=int, default=40, help="seconds until the instant (default 40)")
    parser.add_argument("--seconds", type=int, default=10, help="how long writes are timed alone (default 10)")
    parser.add_argument("--binary", type=Path, help="an orc binary to use instead of building one")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
