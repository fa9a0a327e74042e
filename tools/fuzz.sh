#!/usr/bin/env bash
# Fuzzes each parser in turn (or those that are named) for SECONDS_EACH, from the corpus in fuzz/ and what was found before.
# A crash ends it, stays in fuzz/artifacts and is replayed by the command that is printed; once mended, it belongs in fuzz/corpus.
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
  found="fuzz/target/corpus/$target"
  mkdir -p "$found"
  # A text or a row of some hundred bytes leads everywhere; 10 s for one input is a hang.
  fuzz "$target" "$found" "fuzz/corpus/$target" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=4096 \
    -verbosity=0 -print_final_stats=1
  echo "fuzz: $target: no crash in $seconds s, $(ls "$found" | wc -l) inputs that lead somewhere of their own"
done
