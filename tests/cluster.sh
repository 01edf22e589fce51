# shellcheck shell=bash
# Sourced by the tests that run on the hosts of jobs/cluster, after they have
# named what these need in `needs` ("", or "slurm"). What tests/program.sh
# gives, and
#   $cluster   the command jobs/cluster
#   $dir/c     where hosts are started; they are stopped at the end
# shellcheck source=tests/program.sh
. "$(dirname "${BASH_SOURCE[0]}")/program.sh"
slow
cluster=$top/jobs/cluster
# shellcheck disable=SC2154,SC2086 # set by the test; empty means no argument
reason=$("$cluster" check $needs) || skip "$reason"
trap '"$cluster" stop "$dir/c" && rm -rf "$dir"' EXIT

# write_task FILE LENGTH BATCH STEPS EVERY: a small training run; EVERY so many
# steps it saves and evaluates.
write_task() {
    cat >"$1" <<END
model:
  width: 64
  chunk: 64
  blocks:
    - {mixer: ssd, state: 16, heads: 4}
    - {mlp: swiglu, expand: 2}
data:
  task: {name: mqar, vocab: 64, pairs: 4}
  length: $2
  batch: $3
train: {steps: $4, seed: 1}
optimizer: {name: adamw, lr: 1.0e-3}
schedule: {name: constant}
checkpoint: {every: $5, keep: 3}
eval: {every: $5, batches: 1}
END
}

# stop_hosts: stops all hosts; no process of the hosts may be left.
stop_hosts() {
    local file pid spaces=()
    for file in "$dir"/c/run/h*.pid; do
        [[ -e $file ]] && read -r pid _ <"$file" && spaces+=("$(readlink "/proc/$pid/ns/uts")")
    done
    "$cluster" stop "$dir/c" >"$dir/out" 2>"$dir/err" || fail "hosts do not stop"
    for file in /proc/[0-9]*/ns/uts; do
        [[ " ${spaces[*]} " != *" $(readlink "$file" 2>/dev/null || echo gone) "* ]] ||
            fail "a process is left after the end of its host: $(tr '\0' ' ' <"${file%/ns/uts}/cmdline")"
    done
}

# start_hosts N: hosts h1 ... hN; hosts started earlier are stopped.
start_hosts() {
    stop_hosts
    "$cluster" start --hosts "$1" "$dir/c" >"$dir/out" 2>"$dir/err" || fail "no cluster"
}
