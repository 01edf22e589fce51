#!/bin/sh
# Every benchmark, some ten minutes on two idle cores: `make bench`. Tables to
# standard output; bench.json has the figures of one rank on all cores,
# bench_ranks.json those of two ranks of a thread each. Run in the build folder.
set -eu
mpirun=${MPIRUN:-mpirun}
if [ "$(id -u)" = 0 ]; then # in a container everyone is root
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
say() { printf '\n== %s\n' "$*"; }
on_ranks() { "$mpirun" -n 2 --oversubscribe --bind-to core:overload-allowed "$@"; }

say "one rank, all cores: limits, ops, mixers, steps"
./ropewalk bench --json bench.json
say "convolutions inside a chunk"
./bench_convolution
if ! command -v "$mpirun" >/dev/null; then
    say "no $mpirun: nothing on two ranks"
    exit 0
fi
say "two ranks: scaling, cost of equal bits, exchanges"
on_ranks ./ropewalk bench scaling invariance primitives --only 4x512 --length 4k --threads 1 \
    --json bench_ranks.json
say "two ranks: long convolutions"
on_ranks ./bench_long_convolution
say "figures: bench.json, bench_ranks.json"
