#!/bin/sh
# Every benchmark: `make bench`, a quarter of an hour on two idle cores, and over an hour with
# PyTorch beside (PEER=no leaves it out; PEER_OPTIONS: docs/benchmarks.md). Tables to
# standard output; bench.json has the figures of one rank on all cores, bench_ranks.json
# those of two ranks of a thread each, bench_peer*.json those beside PyTorch. Run in the
# build folder.
set -eu
mpirun=${MPIRUN:-mpirun}
if [ "$(id -u)" = 0 ]; then # in a container everyone is root
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
say() { printf '\n== %s\n' "$*"; }
on_ranks() { "$mpirun" -n 2 --oversubscribe --bind-to core:overload-allowed "$@"; }
beside_peer() { # JSON-FILE OPTION...
    if [ "${PEER:-yes}" = no ] || ! command -v python3 >/dev/null; then
        echo "left out: PEER=no, or there is no python3"
        return
    fi
    json=$1
    shift
    # shellcheck disable=SC2086 # options are words
    ROPEWALK=./ropewalk "$(dirname "$0")/peer/compare" --json "$json" "$@" ${PEER_OPTIONS:-}
}

say "one rank, all cores: limits, ops, mixers, steps"
./ropewalk bench --json bench.json
say "products: OpenBLAS, own tiles and other libraries"
venv=${ROPEWALK_PEER_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/ropewalk/peer}
mkl=$(find "$venv" -name libtorch_cpu.so 2>/dev/null | head -n 1) # PyTorch's has MKL in it
kernels=$(./ropewalk --version | sed -n 's/^BLAS kernels: \([^ ]*\).*/\1/p')
MKL=$mkl OPENBLAS_CORETYPE=$kernels ./bench_products 5
say "convolutions inside a chunk"
./bench_convolution
if command -v "$mpirun" >/dev/null; then
    say "two ranks: scaling, cost of equal bits, exchanges"
    on_ranks ./ropewalk bench scaling invariance primitives --only 4x512 --length 4k --threads 1 \
        --json bench_ranks.json
    say "two ranks: long convolutions"
    on_ranks ./bench_long_convolution
else
    say "no $mpirun: nothing on two ranks"
fi
say "one rank beside PyTorch"
beside_peer bench_peer.json
if command -v "$mpirun" >/dev/null; then
    say "two ranks beside PyTorch's DistributedDataParallel"
    beside_peer bench_peer_ranks.json --ranks 2 --lengths 4k
fi
say "figures: bench*.json"
