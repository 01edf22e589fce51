#!/bin/bash
# Four hosts joined by TCP give the bits of one process: every loss in
# metrics.jsonl and the digest of the final checkpoint.
#
#   tests/hosts_layout.sh [CONFIG.yaml]      ROPEWALK: the program (./ropewalk)
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
cluster=$top/jobs/cluster
program=$(realpath "${ROPEWALK:-./ropewalk}")
[[ ${RW_TEST_SCOPE-} != fast ]] || { echo "skipped: not in the fast scope" && exit 77; }
[[ -x $program ]] || { echo "skipped: no program $program (set ROPEWALK)" && exit 77; }
reason=$("$cluster" check) || { echo "skipped: $reason" && exit 77; }

dir=$(mktemp -d "${TMPDIR:-/tmp}/rwhosts.XXXXXX")
trap '"$cluster" stop "$dir/c" && rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
fail() {
    echo "FAIL: $*"
    tail -n 30 "$dir"/*.out 2>/dev/null
    exit 1
}

config=${1-}
if [[ -z $config ]]; then
    config=$dir/mqar.yaml
    cat >"$config" <<'EOF'
model:
  width: 64
  chunk: 64
  blocks:
    - {mixer: ssd, state: 16, heads: 4}
    - {mlp: swiglu, expand: 2}
data:
  task: {name: mqar, vocab: 64, pairs: 4}
  length: 512
  batch: 3
train: {steps: 12, seed: 1}
optimizer: {name: adamw, lr: 1.0e-3}
schedule: {name: constant}
checkpoint: {every: 6, keep: 3}
eval: {every: 6, batches: 1}
EOF
fi

losses() { # with NAME/metrics.jsonl: "step loss" and "step eval_loss", one a line
    grep -E '"(eval_)?loss":' "$1/metrics.jsonl" |
        sed -n 's/.*"step": *\([0-9]*\).*/\1 &/p' |
        sed -E 's/^([0-9]*) .*"((eval_)?loss)": *([^,}]*).*/\1 \2 \4/'
}
digest() {
    "$program" checkpoint digest "$(find "$1/checkpoints" -maxdepth 1 -name 'step-*' | sort -V | tail -n 1)"
}

"$program" train "$config" --run-dir "$dir/one" --threads 1 >"$dir/one.out" 2>&1 ||
    fail "one process: exit code $?"
losses "$dir/one" >"$dir/one.losses"
digest "$dir/one" >"$dir/one.digest" || fail "digest of one process"
[[ -s $dir/one.losses && -s $dir/one.digest ]] || fail "one process wrote no losses"

"$cluster" start --hosts 4 "$dir/c" || fail "no cluster"
for layout in "1 4" "2 2"; do
    read -r dp sp <<<"$layout"
    run=$dir/dp$dp-sp$sp
    timeout -k 5 120 "$cluster" run "$dir/c" -- -n 4 "$program" train "$config" \
        --run-dir "$run" --threads 1 --dp "$dp" --sp "$sp" >"$run.out" 2>&1 ||
        fail "4 hosts, dp $dp x sp $sp: exit code $?"
    losses "$run" | diff "$dir/one.losses" - >"$dir/losses.out" ||
        fail "dp $dp x sp $sp: other losses than one process"
    digest "$run" | diff "$dir/one.digest" - >"$dir/digest.out" ||
        fail "dp $dp x sp $sp: another final state than one process"
    echo "4 hosts, dp $dp x sp $sp: $(wc -l <"$dir/one.losses") losses and the digest are equal"
done
echo "hosts_layout: passed"
