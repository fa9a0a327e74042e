#!/usr/bin/env bash
# make docker-demo: three containers, a run completed, a node killed and back. Exit status 0 means all of it happened.
# Without a registry the base image comes from debootstrap and the binary from the host's own build.
set -euo pipefail
cd "$(dirname "$0")/.."

project=orc-demo
export ORC_IMAGE=orc:demo
export ORC_PORT_1="${ORC_PORT_1:-17420}" ORC_PORT_2="${ORC_PORT_2:-17421}" ORC_PORT_3="${ORC_PORT_3:-17422}"
base=orc-base:bookworm
addresses="http://127.0.0.1:$ORC_PORT_1,http://127.0.0.1:$ORC_PORT_2,http://127.0.0.1:$ORC_PORT_3"

fail() { echo "docker-demo FAILED: $*" >&2; exit 1; }
say() { echo "• ${SECONDS}s  $*"; }

docker version --format '{{.Server.Version}}' >/dev/null 2>&1 || fail \
  "no Docker Engine answers. Install and start one: apt-get install docker.io docker-compose debootstrap; dockerd &"
if docker compose version >/dev/null 2>&1; then
  compose=(docker compose)
elif command -v docker-compose >/dev/null; then
  compose=(docker-compose)
else
  fail "neither 'docker compose' nor docker-compose is here. Install it: apt-get install docker-compose"
fi
compose+=(-p "$project" -f docker/compose.yaml)

work=$(mktemp -d "${TMPDIR:-/tmp}/orc-docker.XXXXXX")
finish() {
  status=$?
  trap - EXIT INT TERM
  if [ "$status" -ne 0 ] && [ -n "${up:-}" ]; then "${compose[@]}" logs --tail 15 >&2 || true; fi
  if [ -n "${up:-}" ]; then "${compose[@]}" down -v --timeout 5 >"$work/down.log" 2>&1 || cat "$work/down.log" >&2; fi
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

build_image() {
  if [ "${ORC_DOCKER_BUILD:-host}" = source ]; then
    docker build -f docker/Dockerfile -t "$ORC_IMAGE" . || fail "the image did not build from source"
    return
  fi
  if ! docker image inspect "$base" >/dev/null 2>&1; then
    if docker pull -q debian:bookworm-slim >/dev/null 2>&1; then
      docker tag debian:bookworm-slim "$base"
    else
      command -v debootstrap >/dev/null || fail "no registry answers and debootstrap is missing: apt-get install debootstrap"
      say "no registry answers: making the base image with debootstrap"
      debootstrap --variant=minbase bookworm "$work/base-root" >"$work/debootstrap.log" 2>&1 \
        || { tail -n 20 "$work/debootstrap.log" >&2; fail "debootstrap"; }
      rm -rf "$work/base-root/var/cache/apt/archives" "$work/base-root/var/lib/apt/lists"
      tar -C "$work/base-root" --numeric-owner -c . | docker import - "$base" >/dev/null
      rm -rf "$work/base-root"
    fi
  fi
  tools/rocksdb.sh
  cargo build --release -p orc-node --bin orc
  mkdir -p "$work/context"
  strip --strip-debug "${CARGO_TARGET_DIR:-target}/release/orc" -o "$work/context/orc"
  docker build -q -f docker/Dockerfile.host --build-arg "RUNTIME_IMAGE=$base" -t "$ORC_IMAGE" "$work/context" >/dev/null \
    || docker build -f docker/Dockerfile.host --build-arg "RUNTIME_IMAGE=$base" -t "$ORC_IMAGE" "$work/context"
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
  local limit=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$limit" ] || fail "waited in vain for $what"
    sleep 0.5
  done
}
container() { "${compose[@]}" ps -q "node$1"; }
health() { docker inspect --format '{{.State.Health.Status}}' "$1"; }
is_healthy() { [ "$(health "${containers[$1]}")" = healthy ]; }
is_running() { [ "$(docker inspect --format '{{.State.Running}}' "$1")" = true ]; }
in_node() { local node=$1; shift; docker exec "${containers[$node]}" orc "$@"; }
# From the host, through the loopback port of the node.
cluster() { python3 - "http://127.0.0.1:$1/api/v1/cluster" "${@:2}" <<'PY'; }
import json, sys, urllib.request
status = json.load(urllib.request.urlopen(sys.argv[1], timeout=3))
nodes = {node["id"]: node for node in status["nodes"]}
if sys.argv[2] == "leader":
    print(str(status["leader"]).rsplit("-", 1)[-1])
elif sys.argv[2] == "voters":
    sys.exit(sorted(node["role"] for node in nodes.values()) != ["follower", "follower", "leader"])
elif sys.argv[2] == "same":
    sys.exit(len({(node["applied"], node["stateHash"]) for node in nodes.values()}) != 1)
PY
# The output of `orc run` comes through a copy of the files, since the containers see nothing of the host.
run_workflow() {
  local node=$1
  docker cp examples/data-processing.yaml "${containers[$node]}:/tmp/workflow.yaml" >/dev/null
  timeout 60 docker exec "${containers[$node]}" orc run /tmp/workflow.yaml --watch --addr http://127.0.0.1:7420
}

build_image
say "image $ORC_IMAGE is built"
up=yes
"${compose[@]}" up -d --no-build >"$work/up.log" 2>&1 || { cat "$work/up.log" >&2; fail "compose up"; }
declare -A containers
for node in 1 2 3; do containers[$node]=$(container "$node"); done
for node in 1 2 3; do wait_for 90 "node$node to be healthy" is_healthy "$node"; done
wait_for 60 "three voters" cluster "$ORC_PORT_1" voters
leader=$(cluster "$ORC_PORT_1" leader)
say "three healthy nodes, leader node-$leader"
user=$(docker exec "${containers[1]}" id -u)
[ "$user" = 10001 ] || fail "the node runs as uid $user, not 10001"

run_workflow 1 || fail "the first run did not complete"
say "a run completed in the containers, seen from outside at $addresses"

docker kill "${containers[$leader]}" >/dev/null
say "node-$leader, the leader, killed"
other=$((leader % 3 + 1))
ports=("" "$ORC_PORT_1" "$ORC_PORT_2" "$ORC_PORT_3")
new_leader() { local now; now=$(cluster "${ports[$other]}" leader) && [[ "$now" =~ ^[1-3]$ ]] && [ "$now" != "$leader" ]; }
wait_for 30 "a new leader" new_leader
run_workflow "$other" || fail "no run completed after the kill"
say "node-$(cluster "${ports[$other]}" leader) leads; a run completed without node-$leader"

# `docker kill` counts as the operator's wish, which no restart policy overrides: bring it back as an operator would.
sleep 1
is_running "${containers[$leader]}" || docker start "${containers[$leader]}" >/dev/null
wait_for 90 "node-$leader to be healthy again" is_healthy "$leader"
wait_for 60 "three voters again" cluster "${ports[$other]}" voters
wait_for 60 "equal state hashes" cluster "${ports[$other]}" same
say "node-$leader is back and healthy; all three have the same state hash"
echo "docker-demo passed in ${SECONDS}s"
