#!/bin/bash
# Hosts joined by TCP give the bits of one process, also where they have
# different numbers of ranks, and ranks different numbers of chunks or sequences.
#
#   tests/hosts_layout.sh [CONFIG.yaml]      ROPEWALK: the program (./ropewalk)
# shellcheck disable=SC2034 # read by cluster.sh
needs=
# shellcheck source=tests/cluster.sh
. "$(dirname "$0")/cluster.sh"

config=${1-}
[[ -n $config ]] || write_task "${config:=$dir/mqar.yaml}" 512 5 12 6

run train "$config" --run-dir "$dir/one" --threads 1
expect_exit 0 "one process"

compared=0
# train_on HOSTS DP SP: ranks go to the hosts in turn, so that neighbours in a
# sequence are on different hosts, and the first ones have more ranks.
train_on() {
    local what="$1 hosts, dp $2 x sp $3" name=$dir/hosts$1-dp$2-sp$3
    timeout -k 5 "$limit" "$cluster" run "$dir/c" -- -n $(($2 * $3)) "$program" train "$config" \
        --run-dir "$name" --threads 1 --dp "$2" --sp "$3" >"$dir/out" 2>"$dir/err" </dev/null
    code=$?
    expect_exit 0 "$what"
    expect_same "$dir/one" "$name"
    compared=$((compared + 1))
}

start_hosts 4
for layout in "1 4" "2 2" "1 5" "5 1"; do
    read -r dp sp <<<"$layout"
    train_on 4 "$dp" "$sp"
done
start_hosts 2
train_on 2 1 3
stop_hosts

passed "$compared layouts over 4 and 2 hosts: the bits of one process"
