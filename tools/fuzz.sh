#!/usr/bin/env bash
# Fuzzes each parser in turn (or those that are named) for SECONDS each, from the kept corpus on. What reaches new places is
# kept, made as small as it goes; a crash ends it, stays in fuzz/artifacts and is replayed by the command that is printed.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${SECONDS_EACH:-60}"
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(expression cron frames message batch row workflow body)
command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked
# Counters at every branch need nothing of a nightly compiler but cargo-fuzz's own flags.
export RUSTC_BOOTSTRAP=1
fuzz() {
  case "$1" in workflow | body) node=(--features node) ;; *) node=() ;; esac
  cargo fuzz run --sanitizer none ${node[@]+"${node[@]}"} "$@"
}

for target in "${targets[@]}"; do
  corpus="fuzz/corpus/$target"
  found="$(mktemp -d)"
  # A text or a row of some hundred bytes leads everywhere; 10 s for one input is a hang.
  fuzz "$target" "$found" "$corpus" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=4096 \
    -print_final_stats=1
  # Only what leads somewhere new is kept beside what is there.
  fuzz "$target" "$corpus" "$found" -- -merge=1 -max_len=1024 >/dev/null
  rm -r "$found"
  echo "fuzz: $target: no crash in $seconds s, $(ls "$corpus" | wc -l) inputs kept"
done
