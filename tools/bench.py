#!/usr/bin/env python3
"""make bench: every work of `orc bench` and the criterion benches of the parts, as one dated report in target/bench.

Each figure is the median of --rounds; every write is synced on a majority before its answer. Standard library only.
"""

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORKS = [
    "w1 --in-flight 1", "w1", "w1 --in-flight 256",
    "w1 --nodes 1 --in-flight 1", "w1 --nodes 1", "w1 --nodes 1 --in-flight 256",
    "w2", "w2 --rate 200",
    "w3 --in-flight 1", "w3", "w3 --in-flight 256", "w3 --op get --in-flight 1", "w3 --op get", "w3 --op watch",
    "w4 --in-flight 1", "w4", "w5 --seconds 15",
]  # fmt: skip
PATIENCE_S = 900


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each work is measured (default 3)")
    parser.add_argument("--seconds", type=int, default=5, help="how long each time (default 5)")
    parser.add_argument("--skip-parts", action="store_true", help="leave the criterion benches out")
    arguments = parser.parse_args()
    report = [*heading(arguments), *works(arguments)]
    if not arguments.skip_parts:
        report += parts()
    path = ROOT / "target" / "bench" / f"{datetime.datetime.now():%Y-%m-%dT%H%M}-{commit()}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(report) + "\n")
    print("\n".join(report))
    print(f"\nthe report is in {path.relative_to(ROOT)}", file=sys.stderr)


def heading(arguments):
    yield f"# Benchmark of {datetime.date.today()}, commit {commit()}"
    yield ""
    yield f"{os.cpu_count()} x {processor()}, {platform.system()} {platform.release()}; medians of {arguments.rounds} rounds"
    yield f"of {arguments.seconds} s (w5: 15 s); nodes, workers and load share the machine."
    yield ""


def works(arguments):
    run("cargo", "build", "--release", "-p", "orc-node", "--bin", "orc")
    orc = Path(json.loads(read("cargo", "metadata", "--no-deps", "--format-version", "1"))["target_directory"])
    yield "| work | per second (min-max) | p50 ms | p90 ms | p99 ms | errors | idle MiB | loaded MiB | start ms |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for work in WORKS:
        print(f"• orc bench {work}", file=sys.stderr)
        words = work.split()
        if "--seconds" not in words:
            words += ["--seconds", str(arguments.seconds)]
        command = [orc / "release" / "orc", "bench", *words, "--repeat", str(arguments.rounds), "-o", "json"]
        figures = json.loads(read(*command))
        runs = figures["runs"]
        spread = f"{figures['rate']:,.0f} ({min(runs):,.0f}-{max(runs):,.0f})"
        latencies = " | ".join(f"{figures[name]:.2f}" for name in ("p50Ms", "p90Ms", "p99Ms"))
        memory = f"{max(figures['idleMiB']):.0f} | {max(figures['rssMiB']):.0f} | {figures['startMs']:.0f}"
        yield f"| {work}{crash(figures)} | {spread} | {latencies} | {figures['errors']} | {memory} |"


def crash(figures):
    if "noWriteMs" not in figures:
        return ""
    back = figures.get("backTo80Ms")
    back = f"back to 80 % after {back:.0f} ms" if back else "not back to 80 %"
    return f": no write for {figures['noWriteMs']:.0f} ms, {back}, {figures['lost']} of {figures['acknowledged']} lost"


def parts():
    """Criterion's own lines: the name, and the middle of its three estimates."""
    yield ""
    yield "| part | time |"
    yield "|---|---:|"
    told = read("cargo", "bench", "-p", "orc-benches")
    for name, time in re.findall(r"^(\S.*?)\s+time:\s+\[\S+ \S+ (\S+ \S+) \S+ \S+\]", told.replace("\n    ", " "), re.M):
        yield f"| {name} | {time} |"


def commit():
    return read("git", "rev-parse", "--short", "HEAD").strip()


def processor():
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else None
    return found[1] if found else platform.machine()


def run(*command):
    subprocess.run(command, cwd=ROOT, check=True, timeout=PATIENCE_S)


def read(*command):
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    if ended.returncode != 0:
        sys.exit(f"error: {' '.join(map(str, command))} ended with status {ended.returncode}")
    return ended.stdout


if __name__ == "__main__":
    main()
