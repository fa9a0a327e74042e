#!/usr/bin/env bash
# Builds RocksDB once, from the sources the librocksdb-sys crate ships, as a few large translation units,
# and leaves it in .rocksdb/ for every profile and every clone (cached outside the clone).
# Eight units at -O2 cost about a fifth of the crate's own 343-file build at -O3.
set -euo pipefail
cd "$(dirname "$0")/.."

units=8
cache_root="${ORC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/orc-build}"
case "$(uname -m)" in
  x86_64) cpu_flags="-march=x86-64-v2" ;; # hardware CRC32C
  aarch64) cpu_flags="-march=armv8-a+crc+crypto" ;;
  *) cpu_flags="" ;;
esac

need() { command -v "$1" >/dev/null || { echo "error: $1 is missing. Install it with: $2" >&2; exit 1; }; }
need cargo "rustup, or your distribution's Rust 1.95 or newer"

# bindgen reads RocksDB's C header with libclang; the C++ sources need g++.
missing=()
command -v g++ >/dev/null || missing+=(g++)
ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang-[0-9]*.so* >/dev/null 2>&1 \
  && ls -d /usr/lib/llvm-*/lib/clang/*/include >/dev/null 2>&1 || missing+=(libclang-dev)
if [ ${#missing[@]} -gt 0 ] && [ -z "${LIBCLANG_PATH:-}" ]; then
  install="apt-get install -y --no-install-recommends ${missing[*]}"
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing ${missing[*]}"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive $install; } >/tmp/orc-apt.log 2>&1 \
      || { cat /tmp/orc-apt.log >&2; echo "error: could not install ${missing[*]}" >&2; exit 1; }
  else
    echo "error: ${missing[*]} missing. Run once: sudo $install" >&2
    exit 1
  fi
fi

sys=$(cargo metadata --format-version 1 --locked | grep -o '"manifest_path":"[^"]*/librocksdb-sys-[^"]*/Cargo.toml"' | head -n 1 | cut -d'"' -f4 || true)
[ -n "$sys" ] || { echo "error: librocksdb-sys is not among the dependencies of this workspace" >&2; exit 1; }
sys=$(dirname "$sys")
lz4=$(ls -d "$(dirname "$sys")"/lz4-sys-*/liblz4/lib | sort | tail -n 1)

key="$(basename "$sys")-$(sha256sum "$0" | cut -c1-12)-$(g++ -dumpversion)-$(uname -m)"
out="$cache_root/$key"
if [ ! -f "$out/librocksdb.a" ]; then
  echo "building RocksDB ($(basename "$sys")) once; about 4 minutes on two cores"
  work=$(mktemp -d "${TMPDIR:-/tmp}/orc-rocksdb.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  grep -v '^util/build_version.cc$' "$sys/rocksdb_lib_sources.txt" | grep . >"$work/sources"
  split -n "l/$units" -d --additional-suffix=.list "$work/sources" "$work/unit-"
  for list in "$work"/unit-*.list; do
    sed "s|.*|#include \"$sys/rocksdb/&\"|" "$list" >"${list%.list}.cc"
  done
  cp "$sys/build_version.cc" "$work/build_version.cc"
  flags="-std=c++20 -O2 -fPIC -w $cpu_flags -include cstdint -DNDEBUG -DLZ4=1 -DHAVE_ALIGNED_NEW -DHAVE_UINT128_EXTENSION
    -DOS_LINUX -DROCKSDB_PLATFORM_POSIX -DROCKSDB_LIB_IO_POSIX -DROCKSDB_SCHED_GETCPU_PRESENT -DROCKSDB_AUXV_GETAUXVAL_PRESENT
    -DROCKSDB_FALLOCATE_PRESENT -DROCKSDB_RANGESYNC_PRESENT -I$sys/rocksdb/include -I$sys/rocksdb -I$lz4 -I$sys"
  (cd "$work" && ls *.cc | xargs -P "$(nproc)" -I{} g++ $flags -c {} -o {}.o)
  ar crs "$work/librocksdb.a" "$work"/*.o
  mkdir -p "$cache_root"
  mkdir -p "$work/done" && mv "$work/librocksdb.a" "$work/done/"
  mkdir -p "$out" && mv "$work/done/librocksdb.a" "$out/"
  echo "RocksDB is in $out"
fi
ln -sfn "$out" .rocksdb
