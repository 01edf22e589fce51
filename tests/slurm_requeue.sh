#!/bin/bash
# Real SLURM on two hosts: a job is told that its time is over, saves, goes back
# into the queue, continues, and ends in the same state, bit for bit, as one
# process that was never interrupted.
#
#   tests/slurm_requeue.sh [CONFIG.yaml]     ROPEWALK: the program (./ropewalk)
# shellcheck disable=SC2015 # a && b || fail: fail ends the program
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
cluster=$top/jobs/cluster
program=$(realpath "${ROPEWALK:-./ropewalk}")
[[ ${RW_TEST_SCOPE-} != fast ]] || { echo "skipped: not in the fast scope" && exit 77; }
[[ -x $program ]] || { echo "skipped: no program $program (set ROPEWALK)" && exit 77; }
reason=$("$cluster" check slurm) || { echo "skipped: $reason" && exit 77; }

dir=$(mktemp -d "${TMPDIR:-/tmp}/rwslurm.XXXXXX")
trap '"$cluster" stop "$dir/c" && rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
fail() {
    echo "FAIL: $*"
    tail -n 30 "$dir"/*.out "$dir"/c/log/slurm*.log 2>/dev/null
    exit 1
}
on_h1() { "$cluster" exec "$dir/c" h1 -- "$@"; }

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
  length: 256
  batch: 4
train: {steps: 100, seed: 1}
optimizer: {name: adamw, lr: 1.0e-3}
schedule: {name: constant}
checkpoint: {every: 1000000, keep: 3}
eval: {every: 1000000, batches: 1}
EOF
fi

# Steps that take about 5 s, so that the signal comes in the middle.
"$program" train "$config" --run-dir "$dir/trial" --threads 1 --stop-at 20 >"$dir/trial.out" 2>&1 ||
    fail "20 steps on one process: exit code $?"
steps=$(sed -n 's/.*"step_s": *\([0-9.e+-]*\).*/\1/p' "$dir/trial/metrics.jsonl" | sort -g |
    awk '{ s[NR] = $1 }
         END { n = int(5 / (s[int((NR + 1) / 2)] + 1e-6))
               print (n < 60) ? 60 : ((n > 20000) ? 20000 : n) }')

"$program" train "$config" --run-dir "$dir/whole" --threads 1 --set "train.steps=$steps" \
    >"$dir/whole.out" 2>&1 || fail "uninterrupted training: exit code $?"

"$cluster" start --hosts 2 "$dir/c" && "$cluster" slurm "$dir/c" || fail "no cluster"
export ROPEWALK=$program OMPI_MCA_btl_tcp_if_include=10.77.0.0/24
job=$(on_h1 sbatch --parsable -N 2 --ntasks-per-node=1 -t 10 -o "$dir/job.out" \
    "$top/jobs/train.sbatch" "$config" "$dir/run" --set "train.steps=$steps") || fail "sbatch"

wait_for() { # SECONDS WHAT COMMAND...
    local tries=$(($1 * 10)) what=$2
    shift 2
    until "$@"; do
        ((tries-- > 0)) || fail "$what did not happen in time"
        sleep 0.1
    done
}
job_is() { on_h1 scontrol show job -o "$job" | grep -qE "$1"; }
step_is_done() { grep -q "\"step\": *$1[,}]" "$dir/run/metrics.jsonl" 2>/dev/null; }

wait_for 60 "step 10 of the first attempt" step_is_done 10
on_h1 scancel --signal=USR1 --batch "$job"
wait_for 60 "the requeue" job_is 'Restarts=1 '
wait_for 180 "the end of the second attempt" job_is 'JobState=(COMPLETED|FAILED|CANCELLED|TIMEOUT)'
job_is 'JobState=COMPLETED' || fail "the job did not end well"

grep -q 'attempt 2' "$dir/job.out" || fail "no second attempt in the job's output"
grep -q '"event": *"stopped"' "$dir/run/metrics.jsonl" || fail "no attempt stopped early"
grep -q '"event": *"resumed"' "$dir/run/metrics.jsonl" || fail "no attempt resumed"

# Every step once, in order: nothing lost, nothing repeated; the same losses.
losses() {
    grep '"loss":' "$1/metrics.jsonl" |
        sed -n 's/.*"step": *\([0-9]*\).*/\1 &/p' | sed 's/ .*"loss": *\([^,}]*\).*/ \1/'
}
losses "$dir/whole" >"$dir/whole.losses"
losses "$dir/run" >"$dir/run.losses"
(($(wc -l <"$dir/run.losses") == steps)) || fail "$(wc -l <"$dir/run.losses") steps, not $steps"
diff "$dir/whole.losses" "$dir/run.losses" >"$dir/losses.out" || fail "other losses"

digest() {
    "$program" checkpoint digest "$(find "$1/checkpoints" -maxdepth 1 -name 'step-*' | sort -V | tail -n 1)"
}
digest "$dir/whole" >"$dir/whole.digest" && digest "$dir/run" >"$dir/run.digest" || fail "digest"
[[ -s $dir/whole.digest ]] || fail "an empty digest"
diff "$dir/whole.digest" "$dir/run.digest" >"$dir/digest.out" || fail "another final state"
stopped=$(sed -n 's/.*"step": *\([0-9]*\),.*"event": *"stopped".*/\1/p' "$dir/run/metrics.jsonl")
echo "slurm_requeue: passed (stopped at step $stopped of $steps, requeued, equal digests)"
