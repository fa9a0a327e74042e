"""The peers' servers with the settings they are compared with, and the drivers that load them.

Every write is on the disks of a majority before it is acknowledged, as ours is; NATS core, which stores nothing, is the
exception. All on loopback ports that the system says are free.
"""

import time

from machine import free_ports, resident_mib

from .processes import call, is_open

WARM_S = 2  # under load before it is measured, the same for both sides
CRASH_BEFORE_S, CRASH_AFTER_S = 5, 10  # the load of w5 around the kill
DRIVER_PATIENCE_S = 60  # beyond the measured time


class Peer:
    """One set of servers: started, measured, stopped. `nodes` of them hold the data."""

    name, setting, nodes = "", "", 3

    def __init__(self, processes, tools):
        self.processes, self.tools = processes, tools
        self.servers, self.helpers = {}, []  # name to process; names of what runs beside the servers

    def start(self):
        """Starts all and waits for the first accepted work; the time it took in ms."""
        began = time.monotonic()
        self.launch()
        return (time.monotonic() - began) * 1000

    def memory(self):
        return max(resident_mib(process.pid) for process in self.servers.values())

    def stop(self):
        self.processes.stop([*self.helpers, *self.servers])
        self.servers, self.helpers = {}, []

    def serve(self, name, *command, env=None):
        self.servers[name] = self.processes.start(name, command, env)

    def help_with(self, name, *command):
        self.processes.start(name, command)
        self.helpers.append(name)

    def load(self, seconds, *command):
        within = seconds + WARM_S + DRIVER_PATIENCE_S
        return self.processes.run(f"{self.name}-load", command, within)

    def wait_for(self, what, condition, within=60):
        return self.processes.wait_for(f"{self.name}: {what}", condition, within)


class Etcd(Peer):
    """Three nodes with etcd's defaults: an election after 1000 ms, a heartbeat every 100 ms."""

    name, setting = "etcd", "defaults"

    def launch(self):
        client, peer = in_parts(free_ports(6), 2)
        self.endpoints = ",".join(f"127.0.0.1:{port}" for port in client)
        cluster = ",".join(f"e{node}=http://127.0.0.1:{port}" for node, port in enumerate(peer))
        for node in range(3):
            own, others = f"http://127.0.0.1:{client[node]}", f"http://127.0.0.1:{peer[node]}"
            self.serve(
                f"etcd-{node}", self.tools["etcd"], "--name", f"e{node}", "--log-level", "warn",
                "--data-dir", self.processes.data(f"etcd-{node}"),
                "--listen-client-urls", own, "--advertise-client-urls", own,
                "--listen-peer-urls", others, "--initial-advertise-peer-urls", others,
                "--initial-cluster", cluster, "--initial-cluster-state", "new",
            )  # fmt: skip
        put = {"key": "YQ==", "value": "Yg=="}  # base64, as its HTTP gateway wants
        self.wait_for("the first put", lambda: call("POST", f"http://127.0.0.1:{client[0]}/v3/kv/put", put))

    def measure(self, measure, seconds):
        command = [self.tools["etcd-bench"], "--endpoints", self.endpoints]
        if measure.work == "w5":
            pids = ",".join(str(process.pid) for process in self.servers.values())
            times = ["--before", CRASH_BEFORE_S, "--after", CRASH_AFTER_S]
            return self.load(seconds, *command, "crash", "--pids", pids, "--clients", measure.in_flight, *times)
        if measure.op == "watch":
            return self.load(seconds, *command, "watch", "--seconds", seconds)
        return self.load(seconds, *command, measure.op, *closed_loop(measure, seconds))


class Restate(Peer):
    """All roles on each node, the log on a majority, a partition's state on every node; the service beside them."""

    name = "restate"
    ENV = {"RESTATE_LOG_FILTER": "warn", "RESTATE_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}

    def __init__(self, processes, tools, nodes, partitions):
        super().__init__(processes, tools)
        self.nodes, self.partitions, self.setting = nodes, partitions, f"{partitions} partitions"

    def launch(self):
        service, *ports = free_ports(1 + 3 * self.nodes)
        fabric, ingress, admin = in_parts(ports, 3)
        self.ingress = [f"127.0.0.1:{port}" for port in ingress]
        self.help_with("restate-service", self.tools["restate-service"], "--port", service)
        for node in range(self.nodes):
            name = f"restate-{node}"
            data = self.processes.data(name)
            config = data / "restate.toml"
            config.write_text(self.config(node, data, fabric, ingress[node], admin[node]))
            options = ["--no-logo", "--listen-mode", "tcp", "-c", config]
            self.serve(name, self.tools["restate-server"], *options, env=self.ENV)
        if self.nodes > 1:
            self.provision(fabric)
        endpoint = {"uri": f"http://127.0.0.1:{service}"}
        register = lambda: call("POST", f"http://127.0.0.1:{admin[0]}/deployments", endpoint)
        self.wait_for("the service to be registered", register)
        for address in self.ingress:
            run = lambda address=address: call("POST", f"http://{address}/Workflow/run", {}, within=20)
            self.wait_for(f"a workflow through {address}", run)

    def config(self, node, data, fabric, ingress, admin):
        addresses = ", ".join(f'"http://127.0.0.1:{port}"' for port in fabric)
        alone = self.nodes == 1
        cluster = "" if alone else f"default-replication = 2\n[metadata-client]\naddresses = [{addresses}]\n"
        return (
            f'cluster-name = "bench"\nnode-name = "n{node}"\nbase-dir = "{data}"\n'
            f'bind-address = "127.0.0.1:{fabric[node]}"\nadvertised-address = "http://127.0.0.1:{fabric[node]}"\n'
            f"auto-provision = {str(alone).lower()}\ndefault-num-partitions = {self.partitions}\n{cluster}"
            f'[ingress]\nbind-address = "127.0.0.1:{ingress}"\n'
            f'[admin]\nbind-address = "127.0.0.1:{admin}"\ndisable-web-ui = true\n'
        )

    def provision(self, fabric):
        for port in fabric:
            self.wait_for(f"port {port}", lambda port=port: is_open(port))
        command = [
            self.tools["restatectl"], "-s", f"http://127.0.0.1:{fabric[0]}", "provision", "-y",
            "--log-replication", 2, "--partition-replication", self.nodes, "--num-partitions", self.partitions,
        ]  # fmt: skip
        self.wait_for("the cluster to be provisioned", lambda: self.processes.succeeds("restatectl", command, 20))

    def measure(self, measure, seconds):
        nodes = ["--nodes", ",".join(self.ingress)]
        return self.load(seconds, self.tools["restate-load"], *nodes, *closed_loop(measure, seconds))


class BullMq(Peer):
    """One Redis that syncs its log before it answers; one worker process, as a second costs it a tenth of its rate."""

    name, setting, nodes = "bullmq", "AOF always", 1

    def launch(self):
        (self.port,) = free_ports(1)
        options = ["--save", "", "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"]
        address = ["--bind", "127.0.0.1", "--port", self.port, "--dir", self.processes.data("redis")]
        self.serve("redis", self.tools["redis-server"], *address, *options)
        self.wait_for(f"port {self.port}", lambda: is_open(self.port))

    def measure(self, measure, seconds):
        load = ["--rate", measure.rate] if measure.rate else ["--clients", measure.in_flight]
        command = [self.tools["node"], self.tools["bullmq.mjs"], "--home", self.tools["home"], "--port", self.port]
        return self.load(seconds, *command, "--seconds", seconds, "--warm", WARM_S, *load)


class Nats(Peer):
    """JetStream that syncs every write, on three nodes; or one server without storage for request and answer."""

    name = "nats"

    def __init__(self, processes, tools, nodes):
        super().__init__(processes, tools)
        self.nodes, self.setting = nodes, "KV R3, sync always" if nodes == 3 else "core, one server"

    def launch(self):
        client, monitor, route = in_parts(free_ports(3 * self.nodes), 3)
        self.urls = ",".join(f"127.0.0.1:{port}" for port in client)
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in route)
        for node in range(self.nodes):
            name = f"nats-{node}"
            data = self.processes.data(name)
            config = f'host: 127.0.0.1\nport: {client[node]}\nserver_name: s{node}\nhttp: "127.0.0.1:{monitor[node]}"\n'
            if self.nodes > 1:
                config += f'jetstream {{ store_dir: "{data}", sync_interval: always }}\n'
                config += f'cluster {{ name: bench, listen: "127.0.0.1:{route[node]}", routes: [{routes}] }}\n'
            (data / "nats.conf").write_text(config)
            self.serve(name, self.tools["nats-server"], "-c", data / "nats.conf")
        for port in monitor:
            self.wait_for("health", lambda port=port: call("GET", f"http://127.0.0.1:{port}/healthz"))
        if self.nodes == 1:
            self.help_with("nats-answer", self.tools["nats-bench"], "--urls", self.urls, "answer")
            connections = lambda: call("GET", f"http://127.0.0.1:{monitor[0]}/connz")["connections"]
            self.wait_for("someone to answer", lambda: any(one["subscriptions"] for one in connections()))

    def measure(self, measure, seconds):
        command = [self.tools["nats-bench"], "--urls", self.urls]
        if measure.op == "watch":
            return self.load(seconds, *command, "watch", "--seconds", seconds)
        return self.load(seconds, *command, measure.op or "request", *closed_loop(measure, seconds))


def closed_loop(measure, seconds):
    return ["--clients", measure.in_flight, "--seconds", seconds, "--warm", WARM_S]


def in_parts(ports, count):
    size = len(ports) // count
    return [ports[part * size : (part + 1) * size] for part in range(count)]
