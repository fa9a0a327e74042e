"""What is compared with whom: the works, the load of each, the figures taken from it, and the bars we set ourselves."""

import dataclasses
from dataclasses import dataclass

from .servers import CRASH_AFTER_S, CRASH_BEFORE_S, WARM_S, BullMq, Etcd, Nats, Restate


@dataclass(frozen=True)
class Figure:
    """One row of the report: a field of the JSON documents that both sides print."""

    work: str
    field: str = "rate"
    bars: dict = dataclasses.field(default_factory=dict, hash=False)  # by peer: the ratio that is enough

    @property
    def smaller_is_better(self):
        return self.field != "rate"


@dataclass(frozen=True)
class Measure:
    """One load, the same for both sides."""

    work: str
    nodes: int
    in_flight: int
    figures: tuple
    op: str = ""
    rate: int = 0

    @property
    def title(self):
        load = f"{self.rate}/s" if self.rate else f"{self.in_flight} in flight"
        return f"{self.work} {self.op} {self.nodes} nodes, {load}".replace("  ", " ").replace(" 1 nodes", " 1 node")

    def ours(self, seconds):
        """The arguments of our side: a cluster of its own, with two worker processes where there is work for them."""
        load = ["--rate", self.rate] if self.rate else ["--in-flight", self.in_flight]
        op = ["--op", self.op] if self.op else []
        if self.work == "w5":
            seconds, op = CRASH_BEFORE_S + CRASH_AFTER_S, ["--kill-at", f"{CRASH_BEFORE_S}s"]
        times = ["--seconds", seconds, "--warm-up", f"{WARM_S}s"]
        return ["bench", self.work, "--nodes", self.nodes, *load, *op, *times, "-o", "json"]


@dataclass(frozen=True)
class Against:
    """A peer and which of a group's measures it takes part in (all when `only` is empty)."""

    peer: str  # whose installer provides it
    make: object  # (processes, tools) to a `Peer`
    only: tuple = ()


@dataclass(frozen=True)
class Group:
    """Measures that share the peer's servers."""

    measures: tuple
    against: tuple
    memory: Measure = None

    @property
    def work(self):
        return self.measures[0].work


def loop(work, nodes, in_flight, bars=None, latency_bars=None, op=""):
    """A closed loop: its rate and its latency."""
    name = f"{work} {op}".strip()
    latency = Figure(f"{name} p50 ms", "p50Ms", latency_bars or {}), Figure(f"{name} p99 ms", "p99Ms")
    return Measure(work, nodes, in_flight, (Figure(name, "rate", bars or {}), *latency), op)


def memory(work, nodes):
    """Taken beside the loads: the largest node, the time to the first accepted work, and until every node has joined.

    Only ours accepts work before that; a peer has one time for both.
    """
    fields = {"start ms": "startMs", "formed ms": "formedMs", "idle MiB": "idleMiB", "loaded MiB": "loadedMiB"}
    return Measure(work, nodes, 0, tuple(Figure(f"{work} {name}", field) for name, field in fields.items()))


def restate(nodes, partitions):
    return Against("restate", lambda processes, tools: Restate(processes, tools, nodes, partitions))


W1 = (
    loop("w1", 3, 1, latency_bars={"restate": 3}),
    *(loop("w1", 3, in_flight, {"restate": 10}) for in_flight in (64, 256)),
)
W1_ALONE = tuple(loop("w1", 1, in_flight, {"restate": 4}) for in_flight in (64, 256))
W2 = (
    Measure("w2", 3, 64, (Figure("w2", "rate", {"bullmq": 1.5}),)),
    Measure("w2", 3, 0, (Figure("w2 paced p50 ms", "p50Ms"), Figure("w2 paced p99 ms", "p99Ms")), rate=200),
)
PUT_64 = loop("w3", 3, 64, {"etcd": 2}, op="put")
WATCH = Measure("w3", 3, 1, (Figure("w3 watch p50 ms", "p50Ms"), Figure("w3 watch p99 ms", "p99Ms")), op="watch")
W3 = (
    loop("w3", 3, 1, op="put"), PUT_64, loop("w3", 3, 256, {"etcd": 2}, op="put"),
    loop("w3", 3, 64, {"etcd": 2}, op="get"), WATCH,
)  # fmt: skip
W4 = (loop("w4", 3, 1), loop("w4", 3, 64))
W5 = Measure("w5", 3, 64, (Figure("w5 no write ms", "noWriteMs"), Figure("w5 back to 80 % ms", "backTo80Ms")))

GROUPS = (
    Group(W1, (restate(3, 24), restate(3, 4)), memory("w1", 3)),
    Group(W1_ALONE, (restate(1, 4),), memory("w1", 1)),
    Group(W2, (Against("bullmq", BullMq),), memory("w2", 3)),
    Group(
        W3,
        (Against("etcd", Etcd), Against("nats", lambda processes, tools: Nats(processes, tools, 3), (PUT_64, WATCH))),
        memory("w3", 3),
    ),
    Group(W4, (Against("nats", lambda processes, tools: Nats(processes, tools, 1)),)),
    Group((W5,), (Against("etcd", Etcd),)),
)
WORKS = sorted({group.work for group in GROUPS})
