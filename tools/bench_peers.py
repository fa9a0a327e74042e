#!/usr/bin/env python3
"""make bench-peers: orc and its peers on this machine in one run, in turn on the same work, A B A B.

Installs the peers from their registries into target/peers, builds the drivers and orc, prints medians with spread and
ratio, and leaves target/bench-peers.json. One set of servers runs at a time, so that they do not share the cores.
Exit status 1 when a peer or a figure is missing; the others are compared all the same. Standard library only.
"""

import argparse
import signal
import sys
import time
from pathlib import Path
from statistics import median

from peers import install, plan, report
from peers.processes import Failed, Processes

OUTPUT = install.ROOT / "target" / "bench-peers.json"
OURS_PATIENCE_S = 150  # beyond the measured time: the start of a cluster, the warm-up, the kill, the end
STARTED = time.monotonic()


def main():
    arguments = parse_arguments()
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: sys.exit(143))
    groups = [group for group in plan.GROUPS if group.work in arguments.only]
    wanted = dict.fromkeys(
        against.peer for group in groups for against in group.against if against.peer in arguments.peers
    )
    if not wanted:
        print(f"error: none of {', '.join(arguments.peers)} takes part in {', '.join(arguments.only)}", file=sys.stderr)
        return 2
    bench = Bench(arguments)
    try:
        bench.prepare(wanted)
        with Processes(install.FOLDER, arguments.keep) as processes:
            for number in range(1, arguments.rounds + 1):
                for group in groups:
                    bench.compare(processes, group, f"round {number} of {arguments.rounds}")
    except KeyboardInterrupt:
        print("\ninterrupted: every server was ended", file=sys.stderr)
        return 130
    return bench.finish()


class Bench:
    """What is installed, what was measured, and what went wrong."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.orc, self.tools, self.versions = None, {}, {}
        self.report, self.failures = report.Report(), []

    def prepare(self, peers):
        for peer in peers:
            try:
                self.tools[peer], self.versions[peer] = install.INSTALLERS[peer]()
            except Failed as reason:
                self.fail(f"{peer} is not compared: {reason}")
        if not self.arguments.peers_only:
            try:
                self.orc = self.arguments.binary or install.orc()
            except Failed as reason:
                self.fail(f"orc is not measured: {reason}")

    def compare(self, processes, group, round_):
        """One round of a group: ours, then each peer in turn."""
        against = [one for one in group.against if one.peer in self.tools]
        if not against:
            return
        say(f"{round_}: {group.work}, {group.measures[0].nodes} nodes")
        if self.orc:
            self.measure_ours(processes, group)
        for one in against:
            self.measure_theirs(processes, group, one)

    def measure_ours(self, processes, group):
        """Each measure has a cluster of its own."""
        seconds, documents = self.arguments.seconds, []
        for measure in group.measures:
            try:
                command = [self.orc, *measure.ours(seconds)]
                document = processes.run("orc-bench", command, seconds + OURS_PATIENCE_S)
            except Failed as reason:
                self.fail(f"orc: {measure.title}: {reason}")
                continue
            documents.append(document)
            self.take(report.OURS, measure, document)
        if group.memory and documents:
            self.report.add(report.OURS, group.memory, memory_of(documents))

    def measure_theirs(self, processes, group, against):
        peer = against.make(processes, self.tools[against.peer])
        side = (peer.name, peer.setting)
        try:
            started = peer.start()
            beside = {"startMs": started, "formedMs": started, "idleMiB": peer.memory()}
            for measure in against.only or group.measures:
                self.take(side, measure, peer.measure(measure, self.arguments.seconds))
            if group.memory:
                self.report.add(side, group.memory, {**beside, "loadedMiB": peer.memory()})
        except Failed as reason:
            self.fail(f"{peer.name}, {peer.setting}: {group.work}: {reason}")
        finally:
            peer.stop()

    def take(self, side, measure, document):
        self.report.add(side, measure, document)
        missing = [figure.field for figure in measure.figures if document.get(figure.field) is None]
        if missing:
            self.fail(f"{side[0]}: {measure.title}: no {' and no '.join(missing)}")
        figures = (f"{report.number(document[figure.field])} {figure.field}" for figure in measure.figures
                   if document.get(figure.field) is not None)  # fmt: skip
        say(f"  {' '.join(side).strip():<28} {measure.title:<30} {', '.join(figures)}")

    def fail(self, reason):
        self.failures.append(reason)
        say(f"FAILED: {reason}")

    def finish(self):
        rows = self.report.rows()
        report.write(rows, OUTPUT)
        print("\n" + ", ".join(f"{peer} {version}" for peer, version in self.versions.items()))
        for line in report.table(rows, self.arguments.rounds):
            print(line)
        for remark in self.report.remarks:
            print(f"note: {remark}")
        print(f"{len(rows)} rows are in {OUTPUT.relative_to(install.ROOT)}; it took {time.monotonic() - STARTED:.0f} s")
        for reason in dict.fromkeys(self.failures):
            print(f"FAILED: {reason}", file=sys.stderr)
        return 1 if self.failures else 0


def memory_of(documents):
    """The largest node over all loads; of the times to start the median."""
    all_of = lambda name: [document[name] for document in documents if document.get(name)]
    middle = lambda name: median(all_of(name)) if all_of(name) else None
    largest = lambda name: max(map(max, all_of(name)), default=None)
    times = {"startMs": middle("startMs"), "formedMs": middle("formedMs")}
    return {**times, "idleMiB": largest("idleMiB"), "loadedMiB": largest("rssMiB")}


def say(text):
    print(f"• {time.monotonic() - STARTED:6.1f} s  {text}", file=sys.stderr, flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=some_of(plan.WORKS), default=plan.WORKS, help="works, such as w1,w3")
    known = list(install.INSTALLERS)
    parser.add_argument("--peers", type=some_of(known), default=known, help="peers, such as etcd,nats")
    parser.add_argument("--rounds", type=from_one, default=3, help="how often each side has its turn (default 3)")
    parser.add_argument("--seconds", type=from_one, default=5, help="how long each load is measured (default 5)")
    resolved = lambda path: Path(path).resolve()
    parser.add_argument("--binary", type=resolved, help="an orc binary to use instead of building one")
    parser.add_argument("--peers-only", action="store_true", help="leave our side out")
    parser.add_argument("--keep", action="store_true", help="keep data and logs in target/peers")
    return parser.parse_args()


def some_of(known):
    def parse(text):
        chosen = text.split(",")
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        return chosen

    return parse


def from_one(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 is needed")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
