#!/usr/bin/env python3
"""Line coverage of all tests, by package; exits with 1 where it is below what it must be.

Nodes that tests start as processes count only if they end by themselves: a killed one writes down nothing. Needs cargo-tarpaulin: `cargo install cargo-tarpaulin --locked`.
Arguments are passed on, such as `-p orc-domain` for one package.
"""

import json
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "target" / "coverage"
# Of lines in percent: of the rules, and of everything.
DOMAIN_MIN, ALL_MIN = 90, 80
PACKAGES = ["domain", "raft", "actors", "client", "executors", "node"]


def measure(arguments):
    if shutil.which("cargo-tarpaulin") is None:
        sys.exit("cargo-tarpaulin is missing: cargo install cargo-tarpaulin --locked")
    OUT.mkdir(parents=True, exist_ok=True)
    command = ["cargo", "tarpaulin", "--engine", "llvm", "--follow-exec", "--skip-clean", "--no-fail-fast"]
    command += ["--out", "Json", "--output-dir", str(OUT), "--target-dir", str(OUT / "build")]
    command += ["--exclude-files", "benches/*", "--exclude-files", "tests/*", "--timeout", "600"]
    command += arguments or ["--workspace", "--exclude", "orc-benches"]
    # Tests that measure time run alone: instrumented processes are slow.
    ended = subprocess.run(command + ["--", "--test-threads", "2"], cwd=ROOT, check=False)
    if ended.returncode != 0:
        print(f"cargo tarpaulin ended with {ended.returncode}: what tests did up to there counts", file=sys.stderr)
    return json.loads((OUT / "tarpaulin-report.json").read_text())


def is_test(path):
    return path.name in ("tests.rs", "golden.rs") or path.name.endswith("_tests.rs") or "tests" in path.parts


def by_package(report):
    lines = {}
    for file in report["files"]:
        path = pathlib.Path(*file["path"])
        path = path.relative_to(ROOT) if path.is_absolute() else path
        if path.parts[0] in PACKAGES and not is_test(path):
            covered, all_lines = lines.get(path.parts[0], (0, 0))
            hits = [trace["stats"]["Line"] for trace in file["traces"]]
            lines[path.parts[0]] = (covered + sum(1 for hit in hits if hit), all_lines + len(hits))
    return lines


def percent(covered, all_lines):
    return 100 * covered / all_lines if all_lines else 100.0


def main():
    lines = by_package(measure(sys.argv[1:]))
    print(f"{'package':<10} {'lines':>7} {'covered':>8} {'':>6}")
    for package in [name for name in PACKAGES if name in lines]:
        covered, all_lines = lines[package]
        print(f"{package:<10} {all_lines:>7} {covered:>8} {percent(covered, all_lines):>5.1f} %")
    total = tuple(map(sum, zip(*lines.values())))
    print(f"{'all':<10} {total[1]:>7} {total[0]:>8} {percent(*total):>5.1f} %")
    low = percent(*lines.get("domain", (1, 1))) <= DOMAIN_MIN or percent(*total) <= ALL_MIN
    sys.exit(f"below {DOMAIN_MIN} % of domain or {ALL_MIN} % of everything" if low else 0)


if __name__ == "__main__":
    main()
