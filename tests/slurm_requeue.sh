#!/bin/bash
# Real SLURM on two hosts: a job is told that its time is over, saves, goes back
# into the queue, continues, and ends in the same state, bit for bit, as one
# process that was never interrupted.
#
#   tests/slurm_requeue.sh [CONFIG.yaml]     ROPEWALK: the program (./ropewalk)
# shellcheck disable=SC2034 # read by cluster.sh
needs=slurm
# shellcheck source=tests/cluster.sh
. "$(dirname "$0")/cluster.sh"

# What the hosts say is worth more than the last command's output.
fail() {
    echo "FAIL: $name: $*"
    tail -n 30 "$dir"/err "$dir"/*.out "$dir"/c/log/slurm*.log 2>/dev/null
    exit 1
}
on_h1() { "$cluster" exec "$dir/c" h1 -- "$@"; }

config=${1-}
[[ -n $config ]] || write_task "${config:=$dir/mqar.yaml}" 256 4 100 1000000

# Steps that take about 5 s, so that the signal comes in the middle.
run train "$config" --run-dir "$dir/trial" --threads 1 --stop-at 20
expect_exit 0 "20 steps on one process"
steps=$(sed -n 's/.*"step_s": *\([0-9.e+-]*\).*/\1/p' "$dir/trial/metrics.jsonl" | sort -g |
    awk '{ s[NR] = $1 }
         END { n = int(5 / (s[int((NR + 1) / 2)] + 1e-6))
               print (n < 60) ? 60 : ((n > 20000) ? 20000 : n) }')

run train "$config" --run-dir "$dir/whole" --threads 1 --set "train.steps=$steps"
expect_exit 0 "uninterrupted training"

start_hosts 2
"$cluster" slurm "$dir/c" >"$dir/out" 2>"$dir/err" || fail "no SLURM"
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
(($(grep -c '"loss":' "$dir/run/metrics.jsonl") == steps)) || fail "not $steps steps"
expect_same "$dir/whole" "$dir/run"
stopped=$(sed -n 's/.*"step": *\([0-9]*\),.*"event": *"stopped".*/\1/p' "$dir/run/metrics.jsonl")
passed "stopped at step $stopped of $steps, requeued, equal digests"
