#!/bin/bash
# Communication that nothing hides, as a share of the training step: two ranks
# that share the batch (dp 2) or each sequence (sp 2), over shared memory and as
# two hosts at 1 Gbit/s. Medians over the steps of short runs, of rank 0.
#
#   bench/exposed_communication.sh [STEPS]     ROPEWALK: the program (./ropewalk)
# shellcheck source=tests/program.sh
. "$(dirname "$0")/../tests/program.sh"
cluster=$top/jobs/cluster
steps=${1:-8}
warm_up=1 # steps that do not count
limit=600

cat >"$dir/model.yaml" <<END
model:
  width: 256
  repeat: 2
  blocks:
    - {mixer: ssd, state: 64, heads: 8}
    - {mixer: s4d, state: 64}
data:
  task: {name: mqar, vocab: 256, pairs: 16}
  length: 4096
  batch: 2
train: {steps: $((steps + warm_up)), seed: 1}
checkpoint: {every: 0, keep: 2}
eval: {every: 0, batches: 1}
END

# median RUN FIELD: over the steps that count.
median() {
    sed -n "s/.*\"loss\":.*\"$2\":\([0-9.e+-]*\).*/\1/p" "$1/metrics.jsonl" |
        tail -n "+$((warm_up + 1))" | sort -g |
        awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2 }'
}

# row TRANSPORT DP SP: of the run in $dir/run.
row() {
    awk -v transport="$1" -v dp="$2" -v sp="$3" -v step="$(median "$dir/run" step_s)" \
        -v exposed="$(median "$dir/run" exposed_comm_s)" -v sent="$(median "$dir/run" bytes_sent)" \
        'BEGIN { printf "%-16s %2d x %d %10.1f %12.1f %9.1f%% %10.2f\n", transport, dp, sp,
                 1e3 * step, 1e3 * exposed, 100 * exposed / step, 1e-6 * sent }'
}

# measure TRANSPORT COMMAND...: both layouts; COMMAND starts two ranks of a program.
measure() {
    local transport=$1 layout dp sp
    shift
    for layout in "2 1" "1 2"; do
        read -r dp sp <<<"$layout"
        rm -rf "$dir/run"
        timeout -k 5 "$limit" "$@" "$program" train "$dir/model.yaml" --run-dir "$dir/run" \
            --threads 1 --dp "$dp" --sp "$sp" >"$dir/out" 2>"$dir/err" </dev/null ||
            fail "$transport, dp $dp x sp $sp"
        row "$transport" "$dp" "$sp"
    done
}

printf '%-16s %6s %10s %12s %10s %10s\n' transport 'dp x sp' 'step, ms' 'exposed, ms' share 'MB sent'
measure "shared memory" mpirun -n 2 "${mpirun_options[@]}"
reason=$("$cluster" check) || {
    echo "no two hosts: $reason"
    exit 0
}
trap '"$cluster" stop "$dir/c" && rm -rf "$dir"' EXIT
"$cluster" start --hosts 2 --rate 1gbit "$dir/c" >"$dir/out" 2>"$dir/err" || fail "no hosts"
measure "TCP, 1 Gbit/s" "$cluster" run "$dir/c" -- -n 2
