#!/bin/bash
# jobs/train.sbatch with stand-ins for srun and scontrol: which end of training
# leads to which end of the job, and signals at every moment. Needs no SLURM.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/batch_script.XXXXXX")
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/bin" "$dir/run"
failed=0

# scontrol: prints the job's record; requeue is written down.
cat >"$dir/bin/scontrol" <<'EOF'
#!/bin/bash
[[ $1 == requeue ]] && echo "asked to requeue $2" && exit "${REQUEUE_CODE:-0}"
echo "JobId=$SLURM_JOB_ID JobState=${JOB_STATE:-RUNNING} Command=${COMMAND:-$0} WorkDir=/"
EOF
# srun: trains for 2 s; at a signal saves a checkpoint and exits with 75.
cat >"$dir/bin/srun" <<'EOF'
#!/bin/bash
stopped=
trap 'echo "srun: USR1"; stopped=1' USR1
echo "srun $*"
: >"$READY"
[[ ${TRAIN_CODE:-} ]] && exit "$TRAIN_CODE"
for ((i = 0; i < 200; i++)); do
    sleep 0.01
    [[ $stopped ]] || continue
    sleep 0.2
    [[ ${SAVES:-yes} == yes ]] && mkdir -p "$RUN/checkpoints/step-7"
    exit 75
done
EOF
chmod +x "$dir/bin"/*

# batch SIGNAL...: the script's output in $dir/out, its exit code in `code`.
# The signals are sent, 0.05 s apart, once srun runs; "early" is sent at once.
batch() {
    rm -rf "$dir/ready" "$dir/run/checkpoints"
    READY=$dir/ready RUN=$dir/run ROPEWALK=$dir/bin/srun SLURM_JOB_ID=17 PATH=$dir/bin:$PATH \
        "$top/jobs/train.sbatch" config.yaml "$dir/run" --dp 2 >"$dir/out" 2>&1 &
    local script=$! signal
    for signal; do
        [[ $signal == early ]] && sleep 0.01 && kill -USR1 $script && continue
        until [[ -e $dir/ready ]]; do sleep 0.01; done
        sleep 0.05
        kill "-$signal" $script
    done
    wait $script
    code=$?
}

# expect CODE YES|NO NAME: exit code, and whether the job was requeued.
expect() {
    local requeued=no
    grep -q 'asked to requeue 17' "$dir/out" && requeued=yes
    if [[ $code != "$1" || $requeued != "$2" ]]; then
        echo "FAIL: $3: exit code $code (not $1), requeued: $requeued (not $2)"
        sed 's/^/    /' "$dir/out"
        failed=1
    fi
}

says() { # TEXT NAME
    grep -qF -- "$1" "$dir/out" && return
    echo "FAIL: $2: the output lacks '$1':"
    sed 's/^/    /' "$dir/out"
    failed=1
}

TRAIN_CODE=0 batch
expect 0 no "training that ends"
says "attempt 1" "first attempt"
says "--mpi=pmix --kill-on-bad-exit=1 --cpus-per-task=1" "srun's options"
says "train config.yaml --run-dir $dir/run --threads 1 --dp 2" "arguments of train"
SLURM_CPUS_PER_TASK=6 SLURM_RESTART_COUNT=2 TRAIN_CODE=0 batch
says "attempt 3" "attempt number"
says "--threads 6" "threads from SLURM"
TRAIN_CODE=1 batch
expect 1 no "training that fails"
TRAIN_CODE=137 batch
expect 137 no "a rank that is killed"
TRAIN_CODE=75 batch
expect 0 yes "ranks that were told by SLURM itself"

for signals in USR1 TERM "USR1 USR1" "USR1 TERM USR1"; do
    # shellcheck disable=SC2086 # one word a signal
    batch $signals
    expect 0 yes "signals $signals"
    if (($(grep -c 'srun: USR1' "$dir/out") != 1)); then
        echo "FAIL: signals $signals reach srun more than once or never"
        failed=1
    fi
done
says "continues from step-7" "the checkpoint is named"

JOB_STATE=COMPLETING batch TERM
expect 75 no "a job that is cancelled"
REQUEUE_CODE=1 batch USR1
expect 75 yes "a cluster that refuses to requeue"
SLURM_RESTART_COUNT=3 SAVES=no batch USR1
expect 75 no "the fourth attempt that gains nothing"
SLURM_RESTART_COUNT=1 SAVES=no batch USR1
expect 0 yes "the second attempt that gains nothing"

# Installed, the script runs the program that was installed with it, though its own copy
# lies elsewhere and another program is in PATH.
if [[ -x ropewalk && -f Makefile ]]; then
    MAKEFLAGS='' make -s install DESTDIR="$dir/stage" >"$dir/out" 2>&1 || {
        echo "FAIL: make install"
        tail "$dir/out"
        exit 1
    }
    script=$(find "$dir/stage" -name train.sbatch)
    binary=$(find "$dir/stage" -type f -path "*/bin/ropewalk")
    ln -s "$dir/bin/srun" "$dir/bin/ropewalk"
    cp "$script" "$dir/copy"
    READY=$dir/ready RUN=$dir/run TRAIN_CODE=0 COMMAND=$script SLURM_JOB_ID=17 \
        PATH=$dir/bin:$PATH "$dir/copy" config.yaml "$dir/run" >"$dir/out" 2>&1
    started=$(sed -n 's/^srun .* \([^ ]*ropewalk\) train config.yaml .*/\1/p' "$dir/out")
    if [[ -z $started || $(realpath "$started") != "$(realpath "$binary")" ]]; then
        echo "FAIL: the installed script starts '$started', not $binary"
        sed 's/^/    /' "$dir/out"
        failed=1
    fi
    "$started" --version >"$dir/out" 2>&1 || { echo "FAIL: $started does not run" && failed=1; }
fi

# Before, at, or soon after the start of srun: never lost, never an error. (The
# first may come before the script has set its trap: then it dies, as any would.)
for ((i = 0; i < 5; i++)); do
    batch early
    [[ $code == 138 && ! -s $dir/out ]] || expect 0 yes "an early signal"
done

((failed == 0)) && echo "batch_script: passed"
exit $failed
