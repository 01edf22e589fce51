#!/bin/bash
# What ranks must have in common is compared before they compute: a rank with another
# command, program, configuration or dataset ends the run with one message that names the
# difference. Threads and cores: those that there really are.
# shellcheck source=tests/program.sh
. "$(dirname "$0")/program.sh"
limit=60
export OMPI_MCA_odls_base_sigkill_timeout=0

cat >"$dir/run.yaml" <<'END'
model:
  width: 16
  chunk: 32
  blocks:
    - {mixer: ssd, state: 8, heads: 2}
    - {mixer: lstm}
data:
  dataset: text.h5
  length: 96
  batch: 3
train: {steps: 2, seed: 1}
eval: {batches: 1}
END
head -c 4000 "$top/LICENSE" >"$dir/a.txt"
tail -c 4000 "$top/LICENSE" >"$dir/b.txt"
mkdir "$dir/here" "$dir/there"
for host in here there; do
    cp "$dir/run.yaml" "$dir/$host"
    "$program" data build "$dir/$host/text.h5" "$dir/a.txt" >/dev/null 2>&1 || fail "data build"
done

# two PROGRAM ARGUMENT...: rank 0 in the folder here, rank 1, with this program, in there.
two() {
    local other=$1
    shift
    timeout -k 5 "$limit" mpirun "${mpirun_options[@]}" -n 1 --wdir "$dir/here" "$program" "$@" : \
        -n 1 --wdir "$dir/there" "$other" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    code=$?
}

# differ PATTERN WHAT: the run was refused, by one message.
differ() {
    expect_exit 1 "$2"
    [[ $(grep -c '^ropewalk: error' "$dir/err") == 1 ]] || fail "$2: not exactly one message"
    expect_line "$dir/err" "rank 1 .on [^)]*. differs from rank 0 .*$1" "$2"
    [[ ! -e $dir/here/run ]] || fail "$2: a run folder is left"
}

# other CHANGE PATTERN: rank 1 has the configuration with this change (of sed).
other() {
    sed "$1" "$dir/run.yaml" >"$dir/there/run.yaml"
    two "$program" train run.yaml --run-dir run
    differ "another configuration: $2" "a configuration with $1"
    cp "$dir/run.yaml" "$dir/there"
}

unlike_configurations() {
    other 's/width: 16/width: 24/' 'model: width: 24; rank 0 has width: 16'
    other 's/length: 96/length: 128/' 'data: length: 128; rank 0 has length: 96'
    other 's/state: 8/state: 4/' 'model: blocks: .*state: 4.*; rank 0 has .*state: 8'
    other 's/steps: 2/steps: 3/' 'train: steps: 3; rank 0 has steps: 2'
    other '/lstm/d' ''
}

unlike_data() {
    "$program" data build "$dir/other.h5" "$dir/b.txt" >/dev/null 2>&1 || fail "data build"
    cp "$dir/there/text.h5" "$dir/same.h5"
    cp "$dir/other.h5" "$dir/there/text.h5"
    two "$program" train run.yaml --run-dir run
    differ 'another dataset: fingerprint' "another dataset"
    cp "$dir/same.h5" "$dir/there/text.h5"
}

# A host that lacks what the others have is named.
lacking_host() {
    mv "$dir/there/text.h5" "$dir/there/away.h5"
    two "$program" train run.yaml --run-dir run
    expect_exit 1 "a dataset that one host lacks"
    expect_line "$dir/err" 'text.h5.*on .*, rank 1; rank 0 has no such trouble' "a host without data"
    [[ ! -e $dir/here/run ]] || fail "a run folder is left"
    mv "$dir/there/away.h5" "$dir/there/text.h5"
}

unlike_programs() {
    cp "$program" "$dir/there/ropewalk"
    printf 'another build' >>"$dir/there/ropewalk"
    two "$dir/there/ropewalk" train run.yaml --run-dir run
    differ 'another program .*build [0-9a-f]{16}; rank 0 has .*install one build' "another program"
    timeout -k 5 "$limit" mpirun "${mpirun_options[@]}" -n 1 "$program" mixers : \
        -n 1 "$program" tasks >"$dir/out" 2>"$dir/err" </dev/null
    code=$?
    differ 'another command line: tasks; rank 0 has mixers' "another command"
}

like_ranks() {
    two "$program" train run.yaml --run-dir run
    expect_exit 0 "ranks that are alike"
    rm -r "$dir/here/run"
}

# The threads that OpenMP gives, whatever was asked for: the same results.
real_threads() {
    local setting
    cd "$dir/here" || exit 1
    run train run.yaml --run-dir "$dir/plain" --threads 1
    expect_exit 0 "one thread"
    for setting in OMP_THREAD_LIMIT=1 OMP_THREAD_LIMIT=2 OMP_DYNAMIC=true OMP_MAX_ACTIVE_LEVELS=0 \
        OMP_NUM_THREADS=3; do
        export "${setting?}"
        run train run.yaml --run-dir "$dir/$setting" --threads 3
        expect_exit 0 "$setting"
        unset "${setting%=*}"
        expect_same "$dir/plain" "$dir/$setting"
    done
    OMP_THREAD_LIMIT=1 run train run.yaml --run-dir "$dir/limited" --threads 3
    expect_line "$dir/err" 'gives rank 0 on .* 1 of the 3 requested threads .OMP_THREAD_LIMIT=1.' "a limit"
    expect_line "$dir/err" ', 1 thread each' "a limit"
}

# Ranks that may use the same core share it; the launcher's binding is told.
shared_cores() {
    command -v taskset >/dev/null || return 0
    local core
    core=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
    cd "$dir/here" || exit 1
    timeout -k 5 "$limit" taskset -c "$core" mpirun "${mpirun_options[@]}" -n 2 "$program" \
        train run.yaml --run-dir "$dir/shared" >"$dir/out" 2>"$dir/err" </dev/null
    expect_line "$dir/err" ', 1 thread each' "two ranks on one core"
    expect_line "$dir/err" '2 threads .2 ranks. share 1 cores' "two ranks on one core"
    [[ $(nproc) -gt 1 ]] || return 0
    timeout -k 5 "$limit" mpirun --oversubscribe --bind-to core -n 1 "$program" train run.yaml \
        --run-dir "$dir/bound" >"$dir/out" 2>"$dir/err" </dev/null
    expect_line "$dir/err" 'ranks on .* use [0-9]+ of its [0-9]+ cores, since the launcher' "bound"
}

unlike_configurations
unlike_data
lacking_host
unlike_programs
like_ranks
real_threads
shared_cores
passed
