#!/bin/bash
# What a checkpoint continues: other settings are told or refused, on one rank and on several;
# a run that is finished stays as it is; a new start mixes with nothing; --init takes weights.
# shellcheck source=tests/program.sh
. "$(dirname "$0")/program.sh"
spoil=$(realpath ./spoil_checkpoint)
[[ -x $spoil ]] || skip "no program $spoil"

cat >"$dir/run.yaml" <<'END_OF_CONFIG'
model:
  width: 16
  chunk: 16
  blocks:
    - {mixer: attention, heads: 4, window: 16}
    - {mixer: conv, dilation: 2}
    - {mlp: swiglu}
data:
  task: {name: mqar, vocab: 32, pairs: 3}
  length: 32
  batch: 4
train: {steps: 6, seed: 3}
optimizer: {name: adamw, lr: 3.0e-3}
schedule: {name: cosine, warmup: 2}
checkpoint: {every: 2, keep: 3}
eval: {every: 3, batches: 1}
END_OF_CONFIG

train() { # RANKS RUN [ARGUMENT...]
    local ranks=$1 folder=$2
    shift 2
    run_ranks "$ranks" train "$dir/run.yaml" --run-dir "$dir/$folder" --threads 1 "$@"
}

# All files of a run: names, contents, times.
state_of() { (cd "$dir/$1" && find . -type f -printf '%p %T@ ' -exec md5sum {} \; | sort); }

expect_no_line() { ! grep -qE -- "$2" "$1" || fail "$3: a line like '$2' in $(basename "$1")"; }

# refuses RANKS RUN PATTERN ARGUMENT...: exit code 1, one message, and nothing changes.
refuses() {
    local ranks=$1 folder=$2 pattern=$3
    shift 3
    state_of "$folder" >"$dir/before"
    train "$ranks" "$folder" "$@"
    expect_exit 1 "$* on $ranks ranks"
    expect_line "$dir/err" "$pattern" "$*"
    [[ $(grep -c 'ropewalk: error' "$dir/err") == 1 ]] || fail "$*: not one message"
    state_of "$folder" | diff "$dir/before" - >"$dir/diff" || fail "$*: the run folder has changed"
}

# ---- Another function of the same weights ----

other_function() {
    train 1 half --stop-at 3
    expect_exit 0 "the first half"
    local key
    for key in 'heads: 4 -> 2' 'window: 16 -> 3' 'rope: true -> false' 'rope_base: 10000 -> 500'; do
        refuses 1 half "another model: model.blocks.0.$key;.*--init" \
            --set "model.blocks.0.${key%%:*}=${key##* }"
    done
    refuses 1 half 'another model: model.blocks.1.dilation: 2 -> 4;' --set model.blocks.1.dilation=4
    refuses 1 half 'model.blocks.1.activation: silu -> gelu;' --set model.blocks.1.activation=gelu
    refuses 1 half 'model.norm: rms -> layer;' --set model.norm=layer
    refuses 1 half 'model.blocks.2: swiglu -> gelu;' --set model.blocks.2.mlp=gelu
    refuses 1 half 'model.blocks: 3 blocks -> 6 blocks;' --set model.repeat=2
    refuses 3 half 'model.blocks.0.heads: 4 -> 2, model.blocks.0.window: 16 -> 0;' \
        --set model.blocks.0.heads=2 --set model.blocks.0.window=0
}

other_optimizer() {
    refuses 1 half 'optimizer.name: adamw -> sgd: .*--init' --set optimizer.name=sgd
    refuses 2 half 'optimizer.name: adamw -> sgd: .*--init' --set optimizer.name=sgd
    train 1 momentum --stop-at 2 --set optimizer.name=sgd
    expect_exit 0 "training with sgd"
    refuses 1 momentum 'optimizer.name: sgd -> adamw: .*--init'
}

# ---- Settings that may change, and how many tokens were seen ----

tell_changes() {
    train 2 half --set optimizer.lr=1.0e-3 --set model.chunk=8 --set data.length=48 \
        --set data.batch=2 --set model.blocks.0.exchange=ring
    expect_exit 0 "the second half, with other settings"
    local change
    for change in 'optimizer.lr: 3.0e-3 -> 1.0e-3' 'model.chunk: 16 -> 8' \
        'data.length: 32 -> 48' 'data.batch: 4 -> 2' 'model.blocks.0.exchange: auto -> ring'; do
        expect_line "$dir/half/log.txt" "^changed since the checkpoint: $change\$" "the log"
        expect_line "$dir/half/metrics.jsonl" \
            "^\{\"step\":3,\"event\":\"changed\".*\"${change%%: *}\":\"${change#*: }\"" "metrics"
    done
    [[ $(grep -c 'changed since' "$dir/half/log.txt") == 5 ]] || fail "other changes are told"
    # 3 steps of 4 x 32 tokens, 3 of 2 x 48.
    expect_line "$dir/half/metrics.jsonl" '"step":6,.*"tokens":672,' "tokens after a change of length"
    run checkpoint show "$dir/half"
    expect_line "$dir/out" '^tokens seen +672$' "tokens in the checkpoint"
    # An older program did not count: the settings of its checkpoint say how long its sequences were.
    train 1 old --stop-at 3
    "$spoil" "$dir/old/checkpoints/step-00000003" tokens_seen - || fail "cannot spoil a checkpoint"
    train 1 old --set data.length=48
    expect_line "$dir/old/metrics.jsonl" '"step":6,.*"tokens":960,' "tokens after an older program"
    # Numbers are compared by value, and blocks by what they are.
    train 1 spelling --stop-at 1
    train 1 spelling --stop-at 2 --set optimizer.lr=0.003 --set data.batch=0_4 \
        --set model.objective=next_token
    expect_exit 0 "the same settings, spelt otherwise"
    expect_no_line "$dir/err" 'changed' "the same settings, spelt otherwise"
}

finished() {
    train 1 half --set optimizer.lr=1.0e-3 --set model.chunk=8 --set data.length=48 \
        --set data.batch=2 --set model.blocks.0.exchange=ring --set parallel.dp=2
    state_of half >"$dir/before"
    for ranks in 1 2; do
        train "$ranks" half --set optimizer.lr=5.0e-3
        expect_exit 0 "a finished run on $ranks ranks"
        expect_line "$dir/err" 'nothing to train: .*step 6' "a finished run"
        expect_line "$dir/err" 'not in force.*optimizer.lr: 1.0e-3 -> 5.0e-3' "a finished run"
    done
    train 1 half --set train.steps=4
    expect_exit 0 "a run that is beyond its end"
    expect_line "$dir/err" 'nothing to train: .*step 6.*after step 4' "a run beyond its end"
    state_of half | diff "$dir/before" - >"$dir/err" || fail "a finished run: its files have changed"
}

# ---- train.precision: auto goes on with what the run has ----

precision() {
    train 1 rounded --set train.precision=bf16_emulated
    train 2 auto --set train.precision=bf16_emulated --stop-at 3
    train 1 auto --set train.precision=auto
    expect_exit 0 "auto on another layout"
    expect_line "$dir/err" '^precision: bf16_emulated \(auto\): that of the checkpoint' "auto"
    expect_no_line "$dir/err" 'changed since.*precision' "auto"
    expect_line "$dir/auto/config.yaml" 'precision: bf16_emulated' "auto"
    expect_same "$dir/rounded" "$dir/auto"
    train 1 auto --set train.precision=auto
    expect_line "$dir/err" 'nothing to train' "a finished run with auto"
    expect_no_line "$dir/err" 'not in force' "a finished run with auto"
    # A choice is kept where it cannot be followed, as if the user had made it.
    export DNNL_MAX_CPU_ISA=AVX2
    train 1 moved --set train.precision=bf16 --stop-at 2
    train 2 moved --set train.precision=auto
    unset DNNL_MAX_CPU_ISA
    expect_exit 0 "a choice without products in bf16"
    expect_line "$dir/err" '^warning: no products in bf16: .*go on in float32' "a choice that was moved"
    expect_line "$dir/moved/config.yaml" 'precision: bf16$' "a choice that was moved"
    expect_line "$dir/moved/metrics.jsonl" '"event":"resumed".*"precision":"float32"' "a choice that was moved"
}

# ---- New starts ----

start_anew() {
    digest "$dir/half" >"$dir/digest.half"
    train 2 half --resume never --stop-at 0
    expect_exit 0 "--resume never --stop-at 0"
    expect_line "$dir/err" 'earlier run .* is now in .*/half/earlier.1' "--resume never"
    digest "$dir/half/earlier.1" | diff "$dir/digest.half" - >"$dir/err" || fail "not what it was"
    for file in config.yaml metrics.jsonl log.txt report.html; do
        [[ -s $dir/half/earlier.1/$file ]] || fail "$file of the earlier run is not with it"
    done
    expect_line "$dir/half/earlier.1/metrics.jsonl" '"step":6,"loss"' "metrics of the earlier run"
    expect_no_line "$dir/half/metrics.jsonl" '"loss"' "metrics of a run of no steps"
    # Weights as they begin: a checkpoint that a run goes on from.
    [[ -d $dir/half/checkpoints/step-00000000 ]] || fail "--stop-at 0 left no step-0"
    train 1 half
    expect_exit 0 "from step 0 on"
    expect_line "$dir/err" 'resuming .* after step 0 of 6' "from step 0 on"
    train 2 whole --dp 1 --sp 2
    expect_exit 0 "a run in one go"
    expect_same "$dir/whole" "$dir/half"
}

# To an older checkpoint of the run: a later start must not find the newer ones.
step_back() {
    train 2 half --resume "$dir/half/checkpoints/step-00000004" --stop-at 5
    expect_exit 0 "--resume of an older checkpoint"
    expect_line "$dir/err" '1 checkpoint after step 4 .*set aside' "--resume of an older checkpoint"
    [[ -d $dir/half/checkpoints/set-aside-step-00000006 ]] || fail "the newer one is gone"
    train 1 half
    expect_line "$dir/err" 'resuming .* after step 5 of 6' "after --resume of an older checkpoint"
    digest "$dir/half" >"$dir/digest.half"
    digest "$dir/whole" | diff - "$dir/digest.half" >"$dir/err" || fail "another state than in one go"
    # A checkpoint of another run: what is here is moved away as a whole.
    train 1 half --resume "$dir/whole/checkpoints/step-00000004" --stop-at 5
    expect_exit 0 "--resume of another run"
    expect_line "$dir/err" 'earlier run .* is now in .*/half/earlier.2' "--resume of another run"
    [[ ! -e $dir/half/checkpoints/step-00000006 ]] || fail "two runs are mixed"
}

# ---- Weights of another run ----

given_weights() {
    train 2 given --init "$dir/whole" --init-skip 'blocks.1.*' --stop-at 0
    expect_exit 0 "--init"
    expect_line "$dir/given/log.txt" 'weights from .*/whole/checkpoints/step-00000006, step 6' "--init"
    expect_line "$dir/given/log.txt" '^  taken: embedding.weight' "--init"
    expect_line "$dir/given/log.txt" '^  new: blocks.1.pre_norm.weight' "--init"
    expect_line "$dir/given/log.txt" '^  left, as asked: blocks.1' "--init"
    expect_line "$dir/given/metrics.jsonl" '"step":0,"event":"init",.*"from_step":6,"taken":' "--init"
    train 1 fresh --stop-at 0
    digest "$dir/whole" | grep '^param/' >"$dir/digest.whole"
    digest "$dir/fresh" | grep '^param/' >"$dir/digest.fresh"
    digest "$dir/given" >"$dir/digest.all"
    { grep -v '^param/blocks.1' "$dir/digest.whole"; grep '^param/blocks.1' "$dir/digest.fresh"; } | sort |
        diff - <(grep '^param/' "$dir/digest.all" | sort) >"$dir/err" || fail "--init: other weights"
    grep '^opt/' "$dir/digest.all" | diff <(digest "$dir/fresh" | grep '^opt/') - >"$dir/err" ||
        fail "--init: moments were taken"
    train 1 given --init "$dir/whole" --stop-at 2
    expect_exit 0 "--init where a run is"
    expect_line "$dir/err" 'goes on from step 0, --init .* is not used' "--init where a run is"
    expect_line "$dir/given/metrics.jsonl" '"step":2,"loss"' "--init where a run is"
    # Another model of the same shapes is allowed, and said.
    train 1 other --init "$dir/whole/checkpoints/latest" --init-only 'blocks.*' --stop-at 1 \
        --set model.blocks.0.heads=2 --set optimizer.name=sgd
    expect_exit 0 "--init into another model"
    expect_line "$dir/err" 'trained in another model: model.blocks.0.heads: 4 -> 2' "another model"
    expect_line "$dir/err" '^  new: embedding.weight, final_norm.weight' "--init-only"
}

wrong_weights() {
    mkdir -p "$dir/none"
    refuses 2 none 'embedding.weight has shape 32x16 there and 32x8 here.*--init-skip' \
        --init "$dir/whole" --set model.width=8
    refuses 1 none 'is not a folder' --init "$dir/absent"
    train 1 none --init "$dir/whole" --init-only 'blocks.7.*'
    expect_exit 2 "a pattern that names nothing"
    expect_line "$dir/err" "blocks.7.\*: no weight .* has such a name" "a pattern that names nothing"
    train 1 none --init-skip 'blocks.*'
    expect_exit 2 "--init-skip without --init"
    train 1 none --init "$dir/whole" --resume "$dir/whole"
    expect_exit 2 "--init with --resume PATH"
}

# ---- The best checkpoints ----

best() {
    local best=(--set checkpoint.keep_best=1 --set checkpoint.keep=2 --set eval.every=1
        --set checkpoint.every=2 --set train.steps=12 --set optimizer.lr=0.2 --set schedule.warmup=0)
    train 2 best "${best[@]}" --dp 1
    expect_exit 0 "checkpoint.keep_best"
    local step
    step=$(sed -nE 's/.*"step":([0-9]+),"eval_loss":([0-9.e+-]+).*/\2 \1/p' "$dir/best/metrics.jsonl" |
        sort -g | sed -n '1s/.* //p')
    [[ $(cat "$dir/best/checkpoints/best") == $(printf 'step-%08d' "$step") ]] ||
        fail "the best evaluation is of step $step, not $(cat "$dir/best/checkpoints/best")"
    run checkpoint list "$dir/best"
    expect_line "$dir/out" "step-0*$step .* held-out loss .* \(best\)  ok\$" "the list of checkpoints"
    [[ $(grep -c '(best)' "$dir/out") == 1 ]] || fail "not one best checkpoint"
    run eval "$dir/best/checkpoints/best"
    expect_exit 0 "eval of the best"
    expect_line "$dir/out" "^step $step\$" "eval of the best"
}

other_function
other_optimizer
tell_changes
finished
precision
start_anew
step_back
given_weights
wrong_weights
best
passed "told, refused, left alone, begun anew"
