#!/bin/bash
# Training that stops and goes on, elsewhere and however it ended, is training
# that never stopped: the same losses, the same final state, bit for bit.
# shellcheck source=tests/program.sh
. "$(dirname "$0")/program.sh"
slow

cat >"$dir/task.yaml" <<'END'
model:
  width: 32
  chunk: 32
  dropout: 0.1
  blocks:
    - {mixer: ssd, state: 16, heads: 4}
    - {mixer: lssl, state: 8}
    - {mlp: swiglu, expand: 2}
data:
  task: {name: mqar, vocab: 32, pairs: 4}
  length: 157
  batch: 3
train: {steps: 20, seed: 3}
optimizer: {name: adamw, lr: 3.0e-3}
schedule: {name: cosine, warmup: 5}
checkpoint: {every: 4, keep: 3}
eval: {every: 10, batches: 1}
END
sed -e 's|task: .*|dataset: '"$dir"'/text.h5|' "$dir/task.yaml" >"$dir/text.yaml"
# States carried on from step to step, of every kind: linear, shifted, non-linear, rows.
sed -e 's|length: .*|length: 160\n  carry: true|' \
    -e 's|  - {mlp|  - {mixer: gru, hidden: 24}\n    - {mixer: attention, window: 50}\n  &|' "$dir/text.yaml" >"$dir/carry.yaml"

make_text() {
    local jargon=/usr/share/doc/jargon-text/jargon.txt.gz
    if [[ -f $jargon ]]; then
        gzip -dc "$jargon" | head -c 100000
    else
        cat "$top"/LICENSE "$top"/tests/*.sh
    fi >"$dir/text.txt"
    run data build "$dir/text.h5" "$dir/text.txt"
    expect_exit 0 "data build"
}

train() { # CONFIG RUN DP SP [ARGUMENT...]
    local config=$1 folder=$2 dp=$3 sp=$4
    shift 4
    run_ranks $((dp * sp)) train "$dir/$config.yaml" --run-dir "$dir/$folder" --dp "$dp" \
        --sp "$sp" --threads 1 "$@"
}

checkpoint() { printf '%s/checkpoints/step-%08d' "$dir/$1" "$2"; } # RUN STEP

# ---- Stopped on purpose, resumed on another layout ----

stop_and_resume() { # CONFIG
    train "$1" "$1-whole" 1 1
    expect_exit 0 "$1, not interrupted"
    train "$1" "$1-halves" 2 1 --stop-at 10
    expect_exit 0 "$1, --stop-at 10"
    [[ -d $(checkpoint "$1-halves" 10) ]] || fail "--stop-at 10 left no step-10"
    train "$1" "$1-halves" 1 3
    expect_exit 0 "$1, from step 10 on"
    expect_line "$dir/err" 'resuming .* after step 10 of 20' "$1, from step 10 on"
    expect_same "$dir/$1-whole" "$dir/$1-halves"
}

# A checkpoint that another batch left has no states for these sequences.
resume_without_carry() {
    train carry carry-halves 1 1 --set train.steps=21 --set data.batch=2
    expect_exit 0 "another batch with data.carry"
    expect_line "$dir/err" 'warning: .*no carry of 2 sequences' "another batch with data.carry"
}

# ---- A run that another folder continues ----

resume_elsewhere() {
    train task branch 1 2 --resume "$(checkpoint task-halves 16)"
    expect_exit 0 "--resume PATH"
    digest "$dir/task-whole" >"$dir/digest.1"
    digest "$dir/branch" | diff "$dir/digest.1" - >"$dir/err" || fail "--resume PATH: other bits"
}

# ---- A damaged checkpoint ----

pass_over_damage() {
    local newest file
    newest=$(checkpoint task-halves 20)
    file=$newest/data-0.h5
    printf 'damage' | dd of="$file" bs=1 seek=$(($(stat -c %s "$file") / 2)) conv=notrunc \
        2>"$dir/err" || fail "cannot damage $file"
    run checkpoint verify "$newest"
    expect_exit 1 "verify of a damaged checkpoint"
    train task task-halves 2 1
    expect_exit 0 "resuming past a damaged checkpoint"
    expect_line "$dir/err" '^warning: passing over the checkpoint of step 20' "a damaged checkpoint"
    [[ $(grep -c 'passing over' "$dir/err") == 1 ]] || fail "the warning is given more than once"
    expect_line "$dir/err" 'after step 16 of 20' "a damaged checkpoint"
    expect_same "$dir/task-whole" "$dir/task-halves"
}

# ---- Signals ----

# Starts ranks in the background; their process ids are in $dir/pid.RANK, that
# of all together in $all.
start() { # RANKS CONFIG RUN [ARGUMENT...]
    local ranks=$1 config=$2 folder=$3
    shift 3
    rm -f "$dir"/pid.*
    # shellcheck disable=SC2016 # expanded on each rank
    PID_FILE=$dir/pid timeout -k 5 "$limit" mpirun -n "$ranks" "${mpirun_options[@]}" \
        bash -c 'echo $$ >"$PID_FILE.$OMPI_COMM_WORLD_RANK"; exec "$@"' rank \
        "$program" train "$dir/$config.yaml" --run-dir "$dir/$folder" --threads 1 "$@" \
        >"$dir/out" 2>"$dir/err" </dev/null &
    all=$!
}

step_is_done() { grep -q "\"step\":$2,\"loss\"" "$dir/$1/metrics.jsonl" 2>/dev/null; }

# wait_for_step RUN STEP: false if training ended before it was seen.
wait_for_step() {
    until step_is_done "$1" "$2"; do
        kill -0 "$all" 2>/dev/null || return
        sleep 0.02
    done
}

# A run long enough that a signal comes in its middle, and the same without.
long=(--set train.steps=200 --set checkpoint.every=40 --set eval.every=0)
train_long() {
    train task long-whole 1 1 "${long[@]}"
    expect_exit 0 "200 steps, not interrupted"
}

finish_long() { # RUN RANKS WHAT
    train task "$1" 1 "$2" "${long[@]}"
    expect_exit 0 "$3, continued"
    expect_line "$dir/err" 'resuming .* after step' "$3, continued"
    expect_same "$dir/long-whole" "$dir/$1"
    rm -rf "${dir:?}/$1"
}

# A signal to one rank stops all, with a checkpoint at a step boundary.
stop_by_signal() { # SIGNAL RANKS
    local folder=signal-$1-$2 stopped
    start "$2" task "$folder" "${long[@]}"
    wait_for_step "$folder" 5
    kill "-$1" "$(cat "$dir/pid.$(($2 - 1))")"
    wait "$all"
    code=$?
    expect_exit 75 "SIG$1 on $2 ranks"
    stopped=$(sed -nE 's/.*"step":([0-9]+),"event":"stopped".*/\1/p' "$dir/$folder/metrics.jsonl")
    [[ -n $stopped ]] || fail "SIG$1: no event \"stopped\""
    step_is_done "$folder" "$stopped" || fail "SIG$1: stopped after a step that is not there"
    run checkpoint verify "$(checkpoint "$folder" "$stopped")"
    expect_exit 0 "SIG$1: the checkpoint of step $stopped"
    finish_long "$folder" "$((5 - $2))" "SIG$1 on $2 ranks"
}

# One rank is gone, at any moment: in a step or in the middle of a checkpoint.
lose_a_rank() { # RANKS
    local folder=killed-$1 step=$((12 + RANDOM % 90))
    start "$1" task "$folder" "${long[@]}" --set checkpoint.every=10
    wait_for_step "$folder" "$step"
    sleep "0.0$((RANDOM % 3))"
    kill -KILL "$(cat "$dir/pid.$((RANDOM % $1))")" 2>/dev/null
    wait "$all"
    code=$?
    [[ $code != 0 && $code != 75 && $code != 124 ]] ||
        fail "a rank of $1 killed after step $step: exit code $code"
    finish_long "$folder" "$1" "a rank of $1 killed after step $step"
}

make_text
stop_and_resume task
stop_and_resume text
stop_and_resume carry
resume_without_carry
resume_elsewhere
pass_over_damage
train_long
for ranks in 2 3; do
    stop_by_signal TERM "$ranks"
    stop_by_signal USR1 "$ranks"
    lose_a_rank "$ranks"
done
passed "stopped, moved, damaged, signalled, killed"
