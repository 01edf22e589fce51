#!/bin/bash
# The program runs with each instruction set that it was built for and this
# processor has (one, or several if configured --with-march=dispatch): each gives
# the same bits on any layout, and all agree to rounding. Names that cannot be had
# are refused, a processor that lacks what is needed too; ranks that differ are told.
# shellcheck source=tests/program.sh
. "$(dirname "$0")/program.sh"
unset ROPEWALK_ISA OPENBLAS_CORETYPE

cat >"$dir/hybrid.yaml" <<'END'
model:
  width: 32
  chunk: 64
  blocks:
    - {mixer: ssd, state: 16, heads: 4}
    - {mixer: lssl, state: 8}
    - {mixer: conv}
    - {mixer: attention, heads: 2}
    - {mlp: swiglu, expand: 2}
data:
  task: {name: mqar, vocab: 32, pairs: 4}
  length: 250
  batch: 3
train: {steps: 4, seed: 7}
optimizer: {name: adamw, lr: 3.0e-3}
checkpoint: {every: 0}
eval: {every: 0, batches: 1}
END

# losses RUN: of all steps, one a line.
losses() { sed -nE 's/.*"loss":([0-9.e+-]+).*/\1/p' "$1/metrics.jsonl"; }

# said PATTERN WHAT: exactly one line of standard error matches.
said() {
    [[ $(grep -cE -- "$1" "$dir/err") == 1 ]] || fail "$2: not one line like '$1'"
}

# The choice itself: main() with two sets, of which one runs nowhere.
choice() {
    run # without an argument: the program of two_sets.c takes none
    expect_exit 0 "two sets"
    expect_line "$dir/out" '^plain$' "the widest set that runs"
    ROPEWALK_ISA=plain run
    expect_line "$dir/out" '^plain$' "a set asked for"
    ROPEWALK_ISA=all run
    expect_exit 2 "a set that the processor lacks"
    said 'ROPEWALK_ISA=all: the processor lacks [a-z0-9.]+;' "a set that the processor lacks"
    OMPI_COMM_WORLD_LOCAL_RANK=1 ROPEWALK_ISA=all run
    expect_exit 2 "the same on another rank of the host"
    [[ ! -s $dir/err ]] || fail "more than one rank of a host speaks"
}

nothing_runs() {
    run
    expect_exit 1 "a processor that lacks what was built for"
    said 'built for all .* the processor lacks [a-z0-9.]+; build it' "a lesser processor"
}

unknown() {
    ROPEWALK_ISA=no_such_set run mixers
    expect_exit 2 "an unknown set"
    said "ROPEWALK_ISA=no_such_set: this program was built for ${sets// /, };" "an unknown set"
}

# one_set NAME: trained on two layouts in $dir/NAME.
one_set() {
    export ROPEWALK_ISA=$1
    run --version
    expect_line "$dir/out" "^instruction set: $1 " "--version"
    run train "$dir/hybrid.yaml" --run-dir "$dir/$1" --threads 1
    expect_exit 0 "train with $1"
    run_ranks 2 train "$dir/hybrid.yaml" --run-dir "$dir/$1.ranks" --sp 2 --threads 2
    expect_exit 0 "train with $1 on 2 ranks"
    grep -q 'different instructions' "$dir/err" && fail "$1: equal ranks are told to differ"
    expect_same "$dir/$1" "$dir/$1.ranks"
    unset ROPEWALK_ISA
}

# agree RUN RUN: losses equal to rounding, which four steps magnify.
agree() {
    paste <(losses "$1") <(losses "$2") | awk '
        {if ($1 == "" || $2 == "" || ($1 - $2) ^ 2 > 1e-8 * $1 ^ 2) bad = 1}
        END {exit bad || NR != 4}' || fail "$2: losses differ from $1 by more than rounding"
}

each_set() {
    local set trained=()
    for set in $sets; do
        ROPEWALK_ISA=$set run --version
        [[ $code == 0 ]] || {
            said "the processor lacks" "$set"
            missing+=" without $set,"
            continue
        }
        one_set "$set"
        trained+=("$set")
        agree "$dir/${trained[0]}" "$dir/$set"
    done
    count=${#trained[@]}
}

# kernels: those that BLAS computes with here.
kernels() { "$program" --version | sed -n 's/^BLAS kernels: \([^ ]*\).*/\1/p'; }

# Rank 1 with other kernels of BLAS, where BLAS can be told.
unlike_ranks() {
    local there here
    here=$(kernels)
    there=$(OPENBLAS_CORETYPE=Prescott kernels)
    [[ $here != "$there" ]] || return
    mpirun "${mpirun_options[@]}" -n 1 "$program" tasks : \
        -n 1 -x OPENBLAS_CORETYPE=Prescott "$program" tasks >"$dir/out" 2>"$dir/err"
    said "different instructions.*BLAS $here.*BLAS $there" "ranks that differ"
}

# The kernels suit the processor, also where OpenBLAS does not know it; what the user says
# goes first, and an instruction set that was asked for goes before the processor.
blas_choice() {
    local wide
    run --version
    expect_line "$dir/out" '^BLAS kernels: .*(chosen by|set by)' "--version"
    OPENBLAS_CORETYPE=Prescott run --version
    expect_line "$dir/out" '^BLAS kernels: Prescott .set by OPENBLAS_CORETYPE' "told kernels"
    wide=$(sed -n 's/^flags[^:]*: .* avx512f .*avx512vl.*/SkylakeX Cooperlake/p' /proc/cpuinfo | head -n 1)
    [[ $wide ]] || wide=$(sed -n 's/^flags[^:]*: .* fma .*avx2.*/Haswell Zen/p' /proc/cpuinfo | head -n 1)
    [[ -z $wide || " $wide " == *" $(kernels) "* ]] ||
        fail "BLAS takes its kernels for $(kernels); the processor is one for $wide"
    if [[ " $sets " == *" portable "* ]]; then
        ROPEWALK_ISA=portable run --version
        expect_line "$dir/out" '^BLAS kernels: Prescott ' "ROPEWALK_ISA=portable"
    fi
}

# preloaded [VARIABLE=VALUE]... -- ARGUMENT...: the program with wrong_kernels.c.
preloaded() {
    local set=()
    while [[ $1 != -- ]]; do
        set+=("$1")
        shift
    done
    shift
    timeout -k 5 "$limit" env LD_PRELOAD="$dir/wrong_kernels.so" "${set[@]}" "$program" "$@" \
        >"$dir/out" 2>"$dir/err" </dev/null
    code=$?
}

# Kernels that compute wrong products, or crash, are not used; where all are wrong nothing
# is computed.
wrong_kernels() {
    local best next fault
    best=$(kernels)
    [[ $best != of ]] || return 0
    ! ldd "$program" | grep -q libasan || return 0 # a sanitizer wants to be loaded first
    ${CC:-gcc} -shared -fPIC -o "$dir/wrong_kernels.so" "$top/tests/wrong_kernels.c" -ldl || {
        missing+=" no compiler for wrong kernels,"
        return 0
    }
    for fault in A=1 CRASH=1; do
        preloaded "WRONG_KERNELS= $best " $fault -- --version
        expect_exit 0 "wrong kernels ($fault)"
        next=$(sed -n 's/^BLAS kernels: \([^ ]*\).*/\1/p' "$dir/out")
        [[ $next && $next != "$best" ]] || fail "the kernels $best are wrong and used"
        said "wrong products.* with the kernels for $best; BLAS uses the kernels for $next" "wrong kernels"
        preloaded "WRONG_KERNELS= $best " $fault "OPENBLAS_CORETYPE=$best" -- --version
        said "wrong products.* with the kernels for $best; BLAS uses" "wrong kernels that were told"
    done
    preloaded "WRONG_KERNELS= SkylakeX Cooperlake SapphireRapids Haswell Zen Sandybridge Prescott $best " \
        -- train "$dir/hybrid.yaml" --run-dir "$dir/wrong"
    expect_exit 1 "all kernels wrong"
    said 'computes wrong products .*Prescott.*install another' "all kernels wrong"
    [[ ! -e $dir/wrong ]] || fail "a run was begun with wrong products"
}

missing=
if [[ $(uname -m) == x86_64 ]]; then
    for part in two_sets:choice no_set:nothing_runs; do
        [[ -x ./${part%:*} ]] || skip "no program ${part%:*}: run it by make check"
        real=$program program=./${part%:*}
        "${part#*:}"
        program=$real
    done
fi
sets=$("$program" --version | sed -n 's/.*built in: //p')
unknown
each_set
unlike_ranks
blas_choice
wrong_kernels
passed "$count of these sets: $sets;$missing layouts agree"
