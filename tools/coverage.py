#!/usr/bin/env python3
"""Line coverage of all tests, by package; exits with 1 where it is below what it must be.

Counters are kept in mapped files, so that nodes which tests kill count like those that end by themselves. Needs cargo-llvm-cov, cargo-nextest and llvm-tools: `cargo install cargo-llvm-cov --locked` and `rustup component add llvm-tools`.
Arguments are passed on, such as `-p orc-domain` for one package.
"""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "coverage.lcov"
# Of lines in percent: of the rules, and of everything.
DOMAIN_MIN, ALL_MIN = 90, 80
PACKAGES = ["domain", "raft", "actors", "client", "executors", "node"]


def measure(arguments):
    for tool in ("cargo-llvm-cov", "cargo-nextest"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is missing: cargo install {tool} --locked")
    OUT.unlink(missing_ok=True)
    # Counters that can be moved into a mapped file (`%c`), one of eight by program (`%8m`): what a killed process counted stays.
    flags = f"{os.environ.get('RUSTFLAGS', '')} -C llvm-args=-runtime-counter-relocation".strip()
    env = os.environ | {"RUSTFLAGS": flags, "LLVM_PROFILE_FILE_NAME": "orc-%8m%c.profraw"}
    command = ["cargo", "llvm-cov", "nextest", "--lcov", "--output-path", str(OUT), "--ignore-run-fail"]
    command += arguments or ["--workspace", "--exclude", "orc-benches"]
    ended = subprocess.run(command, cwd=ROOT, env=env, check=False)
    if not OUT.exists():
        sys.exit(f"no report: cargo llvm-cov ended with {ended.returncode}")
    if ended.returncode != 0:
        print("not every test passed; what all of them ran counts", file=sys.stderr)
    return OUT.read_text()


def is_test(path):
    return path.name in ("tests.rs", "golden.rs") or path.name.endswith("_tests.rs") or "tests" in path.parts


def last_line(path):
    """Of the program: a module of tests stands at the end of a file."""
    lines = path.read_text().splitlines()
    pairs = enumerate(zip(lines, lines[1:]), start=1)
    tests = (number for number, (one, next_) in pairs if one == "#[cfg(test)]" and next_.startswith("mod "))
    return next(tests, len(lines))


def by_package(report):
    """Covered and all lines of each package, of a report in the form of lcov."""
    lines, package, end = {}, None, 0
    for line in report.splitlines():
        kind, _, rest = line.partition(":")
        if kind == "SF":
            path = pathlib.Path(rest).relative_to(ROOT)
            package = path.parts[0] if path.parts[0] in PACKAGES and not is_test(path) else None
            end = last_line(ROOT / path) if package else 0
        elif kind == "DA" and package:
            number, hits = map(int, rest.split(",")[:2])
            if number <= end:
                covered, of_all = lines.get(package, (0, 0))
                lines[package] = (covered + (hits > 0), of_all + 1)
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
