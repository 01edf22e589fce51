# shellcheck shell=bash
# Sourced by the tests of the program as a user runs it. It gives them
#   $top      the source tree
#   $program  the program under test: ./ropewalk, or $ROPEWALK
#   $dir      a fresh folder, removed at the end
# and the functions below. A command's output is in $dir/out and $dir/err, its
# exit code in $code.
set -u
export LC_ALL=C
# shellcheck disable=SC2034 # used by those who source this
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
name=$(basename "$0" .sh)
program=$(realpath "${ROPEWALK:-./ropewalk}")
code=0
limit=120 # seconds after which a command counts as hanging

skip() {
    echo "$name: skipped: $*"
    exit 77
}
# For tests that take more than a few seconds: not part of the quick round.
slow() { [[ ${RW_TEST_SCOPE-} != fast ]] || skip "not in the fast scope"; }

[[ -x $program ]] || skip "no program $program (set ROPEWALK)"
command -v mpirun >/dev/null || skip "no mpirun"

# Open MPI refuses root unless told twice; containers have no other user.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# The program chooses the kernels of BLAS, as it does for users.
unset OPENBLAS_CORETYPE
# More ranks and threads than cores: who waits lets the others work.
export OMPI_MCA_mpi_yield_when_idle=1 OMP_WAIT_POLICY=passive
mpirun_options=(--oversubscribe --bind-to none)

dir=$(mktemp -d "${TMPDIR:-/tmp}/ropewalk-$name.XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

# To standard error: the output of who fails may be going into a file.
fail() {
    {
        echo "FAIL: $name: $*"
        if [[ -f $dir/err ]]; then tail -n 20 "$dir/err" | sed 's/^/    /'; fi
    } >&2
    exit 1
}

passed() { echo "$name: passed${*:+ ($*)}"; }

# run ARGUMENT...: the program alone.
run() {
    timeout -k 5 "$limit" "$program" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    code=$?
}

# run_ranks RANKS ARGUMENT...: the program on so many ranks.
run_ranks() {
    local ranks=$1
    shift
    if [[ $ranks == 1 ]]; then
        run "$@"
        return
    fi
    timeout -k 5 "$limit" mpirun -n "$ranks" "${mpirun_options[@]}" "$program" "$@" \
        >"$dir/out" 2>"$dir/err" </dev/null
    code=$?
}

# expect_exit CODE WHAT: how the last command ended.
expect_exit() {
    [[ $code != 124 && $code != 137 ]] || [[ $code == "$1" ]] ||
        fail "$2: still running after $limit s, or killed (exit code $code)"
    [[ $code == "$1" ]] || fail "$2: exit code $code, not $1"
}

# expect_line FILE PATTERN WHAT: a line of the file matches (extended).
expect_line() { grep -qE -- "$2" "$1" || fail "$3: no line like '$2' in $(basename "$1")"; }

# trained RUN: what must not depend on layout or interruption: the loss of
# every step and evaluation, as text.
trained() {
    grep -E '"(eval_)?loss":' "$1/metrics.jsonl" |
        sed -E 's/"(step_s|tokens_per_s|data_wait_s|comm_s|exposed_comm_s|bytes_sent)":[^,}]*,?//g'
}

# digest RUN: one line a tensor and one for all, of the newest checkpoint.
digest() { "$program" checkpoint digest "$1" 2>"$dir/err" || fail "no digest of $1"; }

# expect_same RUN RUN: the same losses, the same state at the end.
expect_same() {
    trained "$1" >"$dir/losses.1"
    trained "$2" >"$dir/losses.2"
    [[ -s $dir/losses.1 ]] || fail "$1 has no losses"
    diff "$dir/losses.1" "$dir/losses.2" >"$dir/err" || fail "$2: other losses than $1"
    digest "$1" >"$dir/digest.1"
    digest "$2" >"$dir/digest.2"
    grep -qE '^digest [0-9a-f]+$' "$dir/digest.1" || fail "$1: no line 'digest HEX'"
    diff "$dir/digest.1" "$dir/digest.2" >"$dir/err" || fail "$2: another final state than $1"
}
