#!/usr/bin/env python3
"""make demo: three nodes, two workers, a real workflow, and the leader killed while it runs.

Everything shown is checked; exit status 0 means that all of it happened. Needs only Python's standard library.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from machine import free_ports, resident_mib

ROOT = Path(__file__).resolve().parent.parent
ML = ROOT / "examples" / "ml-training"
WORKFLOW = ROOT / "examples" / "ml-training.yaml"
BUDGET_S = 300
STARTED = time.monotonic()
DEADLINE = float("inf")  # set once the build is done


class Failed(Exception):
    """The reason the demo did not show what it should."""


class Cluster:
    """Three nodes and two workers as processes; knows their pids, ports and logs."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        ports = free_ports(6)
        self.http, self.peer = dict(zip((1, 2, 3), ports[:3])), dict(zip((1, 2, 3), ports[3:]))
        self.processes = {}

    @property
    def addresses(self):
        return ",".join(self.url(node) for node in self.http)

    def url(self, node):
        return f"http://127.0.0.1:{self.http[node]}"

    def start_node(self, node):
        joining = ["--bootstrap"] if node == 1 else ["--join", f"127.0.0.1:{self.peer[1]}"]
        return self.start(
            f"node-{node}", "server", "--node-id", str(node), "--data-dir", str(self.folder / f"node-{node}"),
            "--listen", f"127.0.0.1:{self.http[node]}", "--peer-listen", f"127.0.0.1:{self.peer[node]}", *joining,
        )  # fmt: skip

    def start_worker(self, name):
        actions = {"prepare_data": "prepare.py", "train_model": "train.py", "deploy_model": "deploy.py"}
        program = lambda file: shlex.join([sys.executable, str(ML / file)])
        execs = [part for action, file in actions.items() for part in ("--exec", f"{action}={program(file)}")]
        allow = ["--allow", "echo,sleep,run,http"]
        return self.start(name, "worker", "--name", name, "--slots", "4", *allow, *execs, "--addr", self.addresses)

    def start(self, name, *arguments):
        with open(self.folder / f"{name}.log", "ab") as log:
            # A session of its own: Ctrl-C reaches the demo alone, which then ends its children in order.
            process = subprocess.Popen(
                [self.binary, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env=clean_environment(), start_new_session=True,
            )  # fmt: skip
        self.processes[name] = process
        return process.pid

    def kill(self, name):
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def check_alive(self):
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise Failed(f"{name} ended by itself with status {process.returncode}")

    def stop(self):
        """Workers first, so that none of them looks for a node that is gone."""
        for name in sorted(self.processes, reverse=True):
            process = self.processes[name]
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + 8
        for process in self.processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            end_session(process.pid)

    def tails(self):
        for log in sorted(self.folder.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-12:]
            yield f"--- {log.name}\n" + "\n".join(lines)


def main():
    arguments = parse_arguments()
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: sys.exit(143))
    summary = []
    folder = Path(tempfile.mkdtemp(prefix="orc-demo-"))
    cluster = None
    try:
        binary = arguments.binary or build(summary)
        cluster = Cluster(binary, folder)
        show(cluster, summary)
    except (Failed, OSError) as reason:
        print_log_tails(cluster)
        print(f"\ndemo FAILED after {clock()}: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: ending nodes and workers", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if cluster:
            cluster.stop()
        if arguments.keep:
            print(f"data and logs are kept in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print_summary(summary)
    return 0


def show(cluster, summary):
    """The story, in order; each part raises `Failed` or leaves a line for the summary."""
    global DEADLINE
    DEADLINE = time.monotonic() + BUDGET_S
    start_cluster(cluster, summary)
    start_workers(cluster)

    say("running the seed's ML pipeline; the leader will be killed while the model trains")
    began = time.monotonic()
    watching = start_run(cluster)
    try:
        run = wait_for("the run to be accepted", lambda: newest_run(cluster, seen=()), 30)
        wait_for("the model to train", lambda: step_of(cluster, run, "model_training")["status"] == "running", 60)
        killed = kill_leader(cluster, run, summary)
        status = watching.wait(timeout=min(120, left()))
    except subprocess.TimeoutExpired:
        raise Failed("the run did not end within 120 s of the kill") from None
    finally:
        end_watch(watching)
    if status != 0:
        raise Failed(f"orc run --watch ended with exit status {status}")
    summary.append(("run with the leader killed", f"{time.monotonic() - began:.1f} s", "completed"))
    check_run(cluster, run, summary)

    run_hard_input(cluster, seen=(run,), summary=summary)
    bring_back(cluster, killed, summary)


def start_cluster(cluster, summary):
    began = time.monotonic()
    for node in cluster.http:
        pid = cluster.start_node(node)
        say(f"node-{node} started: {cluster.url(node)} pid {pid}")
        if node == 1:
            wait_for("node-1 to be ready", lambda: is_ready(cluster, 1), 60)
            ready = time.monotonic() - began
    for node in cluster.http:
        wait_for(f"node-{node} to be ready", lambda node=node: is_ready(cluster, node), 60)
    members = wait_for("three voters", lambda: three_voters(cluster), 60)
    say(f"three voters, leader node-{number(members['leader'])} (term {members['term']})")
    summary.append(("first node ready", f"{ready:.2f} s", "from its start"))
    summary.append(("three voters", f"{time.monotonic() - began:.1f} s", "from the first start"))
    sizes = [resident_mib(process.pid) for process in cluster.processes.values()]
    summary.append(("memory of an idle node", f"{max(sizes):.0f} MiB", "resident, the largest of three"))


def start_workers(cluster):
    for name in ("w-1", "w-2"):
        say(f"worker {name} started: pid {cluster.start_worker(name)}")
    wait_for("two connected workers", lambda: connected(cluster) >= 2, 30)


def kill_leader(cluster, run, summary):
    """SIGKILL, then the time to the next acknowledged write on the nodes that are left."""
    leader = number(status_of(cluster)["leader"])
    killed_at = time.monotonic()
    cluster.kill(f"node-{leader}")
    say(f"leader node-{leader} killed with SIGKILL while Model Training runs", mark="✕")

    survivors = [node for node in cluster.http if node != leader]
    key, value = str(uuid.uuid4()), f"after-{leader}"
    written = wait_for("a write to be acknowledged", lambda: put_probe(cluster, survivors, key, value), 30, every=0.02)
    gap = time.monotonic() - killed_at
    state = wait_for("a new leader to be known", lambda: new_leader(cluster, survivors, leader), 30)
    say(f"write acknowledged {gap:.2f} s after the kill; new leader node-{number(state['leader'])} (term {state['term']})")
    summary.append(("leader killed, next write", f"{gap:.2f} s", f"node-{leader} to node-{number(state['leader'])}"))

    for node in survivors:
        read = lambda node=node: call("GET", f"{cluster.url(node)}/api/v1/state/keys/demo.probe")
        wait_for(f"node-{node} to show the write", lambda: read()["version"] == written["version"], 10)
    return leader


def check_run(cluster, run, summary):
    """Every step has one result, whatever was tried twice on the way."""
    record = get(cluster, f"/runs/{run}")
    if (record["status"], record.get("conclusion")) != ("completed", "success"):
        raise Failed(f"the run is {record['status']} ({record.get('conclusion')}), not completed (success)")
    open_steps = [step["id"] for step in record["steps"] if step["status"] != "completed"]
    if open_steps:
        raise Failed(f"steps without a result: {', '.join(open_steps)}")
    completions = completed_events(cluster, run)
    expected = {step["id"]: 1 for step in record["steps"]}
    if completions != expected:
        raise Failed(f"step.completed events are {completions}, expected one for each of {sorted(expected)}")

    output = {step["id"]: step.get("output") or {} for step in record["steps"]}
    if output["model_deployment"].get("checked") is not True:
        raise Failed(f"the deployed model was not checked: {output['model_deployment']}")
    if not Path(output["model_deployment"]["deployed"]).is_file():
        raise Failed("the deployed model is not where the step says")
    attempts = ", ".join(f"{step['id']} {attempt_count(step)}" for step in record["steps"] if attempt_count(step))
    summary.append(("results counted", f"{len(completions)} of {len(expected)}", f"once each; attempts: {attempts}"))
    summary.append(("accuracy measured", str(output["model_training"]["accuracy"]), "model deployed, checked over HTTP"))


def run_hard_input(cluster, seen, summary):
    say("the same workflow on data that cannot be told apart: the condition must stop it")
    watching = start_run(cluster, "--input-file", str(ML / "hard.json"))
    try:
        run = wait_for("the second run", lambda: newest_run(cluster, seen), 30)
        watching.wait(timeout=min(120, left()))
    except subprocess.TimeoutExpired:
        raise Failed("the run with the hard input did not end within 120 s") from None
    finally:
        end_watch(watching)
    record = get(cluster, f"/runs/{run}")
    if (record["status"], record.get("conclusion")) != ("completed", "gated"):
        raise Failed(f"the hard input ended {record['status']} ({record.get('conclusion')}), not completed (gated)")
    steps = {step["id"]: step for step in record["steps"]}
    if steps["model_deployment"]["status"] != "skipped":
        raise Failed(f"the deployment is {steps['model_deployment']['status']} after a false condition, not skipped")
    accuracy = steps["model_training"]["output"]["accuracy"]
    summary.append(("hard input", "gated", f"accuracy {accuracy}, nothing deployed"))


def bring_back(cluster, node, summary):
    began = time.monotonic()
    say(f"node-{node} started again: pid {cluster.start_node(node)}")
    same = wait_for(f"node-{node} to catch up", lambda: caught_up(cluster, node), 60)
    took = time.monotonic() - began
    say(f"node-{node} has applied {same['applied']} and its state hash {same['stateHash']} equals the leader's")
    summary.append(("killed node back", f"{took:.1f} s", "same state hash as the leader"))


# What the cluster says of itself.


def is_ready(cluster, node):
    cluster.check_alive()
    call("GET", f"{cluster.url(node)}/readyz")
    return True


def status_of(cluster, nodes=None):
    return get(cluster, "/cluster", nodes)


def three_voters(cluster):
    status = status_of(cluster)
    roles = sorted(node["role"] for node in status["nodes"])
    return status if roles == ["follower", "follower", "leader"] else None


def new_leader(cluster, survivors, old):
    status = status_of(cluster, survivors)
    return status if status.get("leader") and number(status["leader"]) != old else None


def caught_up(cluster, node):
    status = status_of(cluster)
    nodes = {number(entry["id"]): entry for entry in status["nodes"]}
    leader, back = nodes[number(status["leader"])], nodes[node]
    same = back["applied"] == leader["applied"] and back["stateHash"] == leader["stateHash"]
    return back if same and back["stateHash"] and back["role"] == "follower" else None


def connected(cluster):
    return sum(1 for component in get(cluster, "/components")["items"] if component.get("status") == "connected")


def newest_run(cluster, seen):
    new = [run["id"] for run in get(cluster, "/runs")["items"] if run["id"] not in seen]
    return new[0] if new else None


def step_of(cluster, run, step):
    return next(entry for entry in get(cluster, f"/runs/{run}")["steps"] if entry["id"] == step)


def attempt_count(step):
    attempts = step.get("attempts") or 0
    return len(attempts) if isinstance(attempts, list) else attempts


def completed_events(cluster, run):
    """How often each step of the run was completed, by the event log."""
    counts = {}
    for event in get(cluster, "/events?types=step.completed&since=0&limit=500")["items"]:
        if run in json.dumps(event):
            step = event["data"].get("stepId") or event["data"].get("step")
            counts[step] = counts.get(step, 0) + 1
    return counts


def put_probe(cluster, survivors, key, value):
    for node in survivors:
        url = f"{cluster.url(node)}/api/v1/state/keys/demo.probe"
        try:
            return call("PUT", url, {"value": value}, {"Idempotency-Key": key}, timeout=1)
        except OSError:
            continue
    return None


def get(cluster, path, nodes=None):
    """The answer of the first node that has one."""
    problem = "no node is running"
    for node in nodes or [node for node in cluster.http if f"node-{node}" in cluster.processes]:
        try:
            return call("GET", f"{cluster.url(node)}/api/v1{path}")
        except OSError as error:
            problem = error
    raise OSError(f"GET {path}: {problem}")


def call(method, url, body=None, headers=None, timeout=3):
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {"Content-Type": "application/json", **(headers or {})}, method=method)
    try:
        with urlopen(request, timeout=timeout) as answer:
            text = answer.read()
    except HTTPError as error:
        raise OSError(f"{error.code}: {error.read(400).decode(errors='replace')}") from None
    return json.loads(text) if text[:1] in (b"{", b"[") else {}


# The rest: processes, waiting, words.


def build(summary):
    say("building orc (the first build takes minutes)")
    began = time.monotonic()
    if subprocess.run(["cargo", "build", "--release", "-p", "orc-node", "--bin", "orc"], cwd=ROOT).returncode != 0:
        raise Failed("the build failed")
    metadata = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    target = json.loads(subprocess.run(metadata, cwd=ROOT, check=True, capture_output=True).stdout)["target_directory"]
    summary.append(("build", f"{time.monotonic() - began:.0f} s", "release"))
    return os.path.join(target, "release", "orc")


def start_run(cluster, *arguments):
    """`orc run --watch` with this terminal, so that its live view is seen."""
    sys.stdout.flush()
    inputs = ["-i", f"workdir={cluster.folder / 'ml'}"]
    command = [cluster.binary, "run", str(WORKFLOW), "--watch", *inputs, *arguments, "--addr", cluster.addresses]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, env=clean_environment())


def end_watch(process):
    if process.poll() is None:
        process.terminate()
        process.wait(5)


def end_session(leader):
    """What a worker that had to be killed may have left running: the processes of the session we gave it."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) == leader:
                os.kill(int(stat.parent.name), signal.SIGKILL)
        except OSError:
            continue  # it ended meanwhile


def wait_for(what, condition, within, every=0.1):
    """The first true value of `condition`; an unreachable node is not yet a failure."""
    deadline, last = min(time.monotonic() + within, DEADLINE), None
    while time.monotonic() < deadline:
        try:
            value = condition()
        except OSError as error:
            value, last = None, error
        if value:
            return value
        time.sleep(every)
    raise Failed(f"waited {within} s for {what}" + (f"; last answer: {last}" if last else ""))


def left():
    return max(1.0, DEADLINE - time.monotonic())


def clean_environment():
    """Settings of the user's own orc must not reach the demo's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ORC_")}


def number(node_id):
    return int(str(node_id).rsplit("-", 1)[-1])


def clock():
    return f"{time.monotonic() - STARTED:.1f} s"


def say(text, mark="•"):
    if "utf" not in (sys.stdout.encoding or "").lower():
        mark = "*"
    print(f"{mark} {clock():>8}  {text}", flush=True)


def print_log_tails(cluster):
    for tail in cluster.tails() if cluster else ():
        print(tail, file=sys.stderr)


def print_summary(summary):
    print("\nAll of it happened:")
    width = [max(len(row[column]) for row in summary) for column in (0, 1)]
    for what, figure, note in summary:
        print(f"  {what:<{width[0]}}  {figure:>{width[1]}}  {note}")
    print(f"demo passed in {clock()}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", help="an orc binary to use instead of building one")
    parser.add_argument("--keep", action="store_true", help="keep data and logs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
