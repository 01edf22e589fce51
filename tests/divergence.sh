#!/bin/bash
# Steps that must not change the weights, and the way back from them: nothing that is not finite
# becomes a checkpoint or an answer, good checkpoints stay, the advice works, train.rollback.
# shellcheck source=tests/program.sh
. "$(dirname "$0")/program.sh"
spoil=$(realpath ./spoil_checkpoint)
[[ -x $spoil ]] || skip "no program $spoil"

cat >"$dir/task.yaml" <<'END_OF_CONFIG'
model:
  width: 16
  chunk: 16
  blocks:
    - {mixer: attention, heads: 4}
    - {mlp: swiglu}
data:
  task: {name: mqar, vocab: 32, pairs: 3}
  length: 32
  batch: 4
train: {steps: 20, seed: 3}
optimizer: {lr: 3.0e-3}
checkpoint: {every: 1, keep: 2}
eval: {every: 0, batches: 1}
END_OF_CONFIG
cat >"$dir/text.yaml" <<END_OF_CONFIG
model:
  width: 16
  chunk: 16
  blocks:
    - {mixer: ssd, state: 8, heads: 2}
    - {mlp: swiglu}
data: {dataset: $dir/text.h5, length: 32, batch: 4}
train: {steps: 60, seed: 4, rollback: 4, spike: 2}
optimizer: {lr: 3.0e-2}
checkpoint: {every: 10, keep: 3}
eval: {every: 25, batches: 1}
END_OF_CONFIG
too_much=(--set optimizer.lr=1e6 --set optimizer.clip=0)

train() { # RANKS CONFIG RUN [ARGUMENT...]
    local ranks=$1 config=$2 folder=$3
    shift 3
    run_ranks "$ranks" train "$dir/$config.yaml" --run-dir "$dir/$folder" --threads 1 "$@"
}

steps_in() { (cd "$dir/$1/checkpoints" && echo step-*); }

# ---- Divergence ----

diverge() { # RANKS
    local folder=diverged-$1 good
    train "$1" task "$folder" --stop-at 6
    expect_exit 0 "before the divergence"
    train "$1" task "$folder" "${too_much[@]}"
    expect_exit 1 "a learning rate that is too high, on $1 ranks"
    expect_line "$dir/err" '10 steps in a row .* not finite; .*optimizer.lr' "divergence"
    good=$(sed -nE 's/.*goes on from .*(step-[0-9]+)\..*/\1/p' "$dir/err")
    [[ -d $dir/$folder/checkpoints/$good && $good != "" ]] || fail "goes on from '$good'"
    # At most one of the good ones was pruned for one that was good as well.
    [[ $(steps_in "$folder") == *step-00000006* ]] || fail "step-6 is gone: $(steps_in "$folder")"
    [[ $(steps_in "$folder") == *"$good" ]] || fail "$good is not the newest: $(steps_in "$folder")"
    # Once more: the same end, and nothing piles up.
    ls "$dir/$folder/checkpoints" >"$dir/before"
    train "$1" task "$folder" "${too_much[@]}"
    expect_exit 1 "the same command again"
    ls "$dir/$folder/checkpoints" | diff "$dir/before" - >"$dir/err" || fail "other checkpoints"
    # What the message advises.
    train "$1" task "$folder" --set optimizer.lr=1e-3
    expect_exit 0 "with a lower learning rate"
    expect_line "$dir/err" "resuming .* after step $((10#${good#step-})) of 20" "a lower learning rate"
    expect_line "$dir/$folder/metrics.jsonl" '"step":20,"loss":[0-9]' "a lower learning rate"
}

# A state that an update made infinite: finite before, with a finite loss and gradient.
not_saved() { # RANKS
    local folder=infinite-$1
    train "$1" task "$folder" --set optimizer.name=sgd --set optimizer.lr=1e3 --stop-at 0
    "$spoil" "$dir/$folder/checkpoints/step-00000000" opt/m/blocks.1.up.weight 3e38 >"$dir/out" 2>"$dir/err" ||
        fail "cannot spoil a checkpoint"
    train "$1" task "$folder" --set optimizer.name=sgd --set optimizer.lr=1e3
    expect_exit 1 "an infinite update on $1 ranks"
    expect_line "$dir/err" 'no checkpoint at step 1: (param|opt)/.* is not finite' "an infinite update"
    [[ $(steps_in "$folder") == step-00000000 ]] || fail "saved: $(steps_in "$folder")"
}

# ---- Checkpoints that are not finite ----

refused() { # PATTERN COMMAND...: on one rank or several
    local pattern=$1
    shift
    "$@"
    expect_exit 1 "$*"
    expect_line "$dir/err" "$pattern" "$*"
    [[ $(grep -c 'ropewalk: error' "$dir/err") == 1 ]] || fail "$*: not one message"
}

not_finite() {
    local bad weight='not finite.*embedding.weight|embedding.weight.*not finite'
    train 1 text weights --stop-at 1
    expect_exit 0 "a run to spoil"
    bad=$(cd "$dir/weights/checkpoints" && echo step-00000001)
    cp -r "$dir/weights" "$dir/moments"
    "$spoil" "$dir/weights/checkpoints/$bad" param/embedding.weight nan || fail "cannot spoil"
    "$spoil" "$dir/moments/checkpoints/$bad" opt/v/final_norm.weight inf || fail "cannot spoil"
    for ranks in 1 2; do
        refused "$weight" run_ranks "$ranks" eval "$dir/weights"
    done
    refused "$weight" run generate "$dir/weights" -p a -n 3
    refused 'param/embedding.weight is not finite.*--resume' train 2 text weights
    refused 'opt/v/final_norm.weight is not finite.*--resume' train 3 text moments --dp 3
    refused 'embedding.weight is not finite' train 2 text fresh --init "$dir/weights"
    train 1 text fresh --init "$dir/moments" --stop-at 0
    expect_exit 0 "weights beside moments that are not finite"
    # Finite weights that give no finite loss.
    "$spoil" "$dir/fresh/checkpoints/step-00000000" param/final_norm.weight 3e38 || fail "cannot spoil"
    for ranks in 1 2; do
        refused 'loss is not finite' run_ranks "$ranks" eval "$dir/fresh"
    done
}

# ---- Rollback ----

make_text() {
    local i
    for ((i = 0; i < 1500; i++)); do printf 'abcabcabcd'; done >"$dir/text.txt"
    head -c 500 "$top/LICENSE" >>"$dir/text.txt"
    for ((i = 0; i < 1500; i++)); do printf 'abcabcabcd'; done >>"$dir/text.txt"
    run data build "$dir/text.h5" "$dir/text.txt"
    expect_exit 0 "data build"
}

roll_back() {
    train 1 text whole
    expect_exit 0 "train.rollback"
    local log=$dir/whole/log.txt metrics=$dir/whole/metrics.jsonl times
    times=$(grep -c '"event":"rollback"' "$metrics")
    ((times >= 1)) || fail "nothing was rolled back"
    expect_line "$log" "\(spike\): back to step [0-9]+, past .*rollback 1 of 4; [0-9]+ sequences" "log"
    # Every step once, though some were run again.
    grep -o '"step":[0-9]*,"loss"' "$metrics" | sort | uniq -d >"$dir/err"
    [[ ! -s $dir/err ]] || fail "steps that stand twice in metrics.jsonl"
    run checkpoint show "$dir/whole"
    local passed_over
    passed_over=$(sed -nE 's/.*"skipped_sequences":([0-9]+).*/\1/p' "$metrics" | tail -n 1)
    expect_line "$dir/out" "^rollbacks +$times, past $passed_over sequences\$" "the checkpoint"
    expect_line "$dir/out" "^sequences seen +$((60 * 4 + passed_over))\$" "the cursor"
    expect_line "$dir/out" "^tokens seen +$((60 * 4 * 32))\$" "tokens trained on"
    expect_line "$dir/whole/report.html" "<dt>rollbacks</dt><dd>$times</dd>" "the report"
    expect_line "$dir/whole/report.html" "<dt>sequences passed over</dt><dd>$passed_over</dd>" "the report"
    # The same on other layouts, and interrupted before and after.
    train 3 text ranks --dp 3 --sp 1
    expect_exit 0 "train.rollback on 3 ranks"
    expect_same "$dir/whole" "$dir/ranks"
    # Between the checkpoint that it goes back to and the spike, more often than checkpoints are kept.
    local at to step
    read -r to at < <(sed -nE 's/.*"step":([0-9]+),"event":"rollback".*"at_step":([0-9]+),.*/\1 \2/p' "$metrics")
    ((at - to >= 4)) || fail "no room to interrupt between steps $to and $at"
    for ((step = at - 4; step < at; step++)); do
        train 2 text parts --dp 1 --sp 2 --stop-at "$step" --set checkpoint.keep=2
    done
    train 1 text parts --stop-at $((to + 1))
    train 2 text parts --dp 2 --sp 1
    expect_exit 0 "train.rollback, interrupted"
    trained "$dir/whole" | grep -v eval_ >"$dir/losses.whole"
    trained "$dir/parts" | grep -v eval_ | diff "$dir/losses.whole" - >"$dir/err" ||
        fail "interrupted: other losses"
    digest "$dir/whole" >"$dir/digest.whole"
    digest "$dir/parts" | diff "$dir/digest.whole" - >"$dir/err" || fail "interrupted: another state"
}

# Not finite whatever the batches are: as often as allowed, then the usual end.
roll_back_in_vain() { # RANKS
    train "$1" task "vain-$1" "${too_much[@]}" --set train.rollback=2
    expect_exit 1 "train.rollback in vain on $1 ranks"
    expect_line "$dir/err" '\(not finite\): back to step .*rollback 2 of 2' "train.rollback in vain"
    expect_line "$dir/err" 'all 2 rollbacks of train.rollback are used up' "train.rollback in vain"
    [[ $(grep -c '"event":"rollback"' "$dir/vain-$1/metrics.jsonl") == 2 ]] || fail "not 2 rollbacks"
    expect_line "$dir/err" '10 steps in a row' "train.rollback in vain"
}

# ---- A mean over nothing ----

nothing_to_predict() {
    local i
    {
        echo '{"text":"ab"}'
        for ((i = 0; i < 30000; i++)); do echo '{"text":"a"}'; done
        echo '{"text":"ab"}'
    } >"$dir/letters.jsonl"
    run data build "$dir/letters.h5" "$dir/letters.jsonl"
    expect_exit 0 "data build of letters"
    train 2 text letters --set data.dataset="$dir/letters.h5"
    expect_exit 1 "documents of one byte"
    expect_line "$dir/err" '10 steps in a row had nothing to predict' "documents of one byte"
    expect_line "$dir/letters/metrics.jsonl" '"step":9,"loss":null,' "documents of one byte"
    # 4G is no small number.
    train 1 text letters --set data.dataset="$dir/letters.h5" --set optimizer.max_skipped=4G \
        --set train.steps=12 --set checkpoint.keep_best=1
    expect_exit 0 "optimizer.max_skipped of 4G"
    expect_line "$dir/letters/metrics.jsonl" '"step":12,"eval_loss":null' "no held-out loss"
    expect_line "$dir/err" 'nothing to predict in the first 1 held-out' "no held-out loss"
    [[ ! -e $dir/letters/checkpoints/best ]] || fail "the best of nothing"
}

make_text
diverge 1
diverge 3
not_saved 1
not_saved 2
not_finite
roll_back
roll_back_in_vain 1
roll_back_in_vain 2
nothing_to_predict
passed "stopped, not saved, refused, rolled back, null"
