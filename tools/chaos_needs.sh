#!/usr/bin/env bash
# What `make chaos` needs beside the build: root, and the programs that make machines of namespaces and loop disks.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "error: faults need root: they mount disks and cut networks" >&2; exit 1; }
packages=()
command -v iptables >/dev/null || packages+=(iptables)
command -v ip >/dev/null && command -v tc >/dev/null || packages+=(iproute2)
command -v xfs_io >/dev/null && command -v mkfs.xfs >/dev/null || packages+=(xfsprogs)
command -v mkfs.ext4 >/dev/null || packages+=(e2fsprogs)
command -v strace >/dev/null || packages+=(strace)
command -v faketime >/dev/null || packages+=(faketime)
if [ ${#packages[@]} -gt 0 ]; then
  echo "error: programs are missing. Install them with: apt-get install -y --no-install-recommends ${packages[*]}" >&2
  exit 1
fi
