#!/bin/bash
# A hybrid of all mixers gives the same bits on every layout: each loss, each
# gradient norm, the final state. The length is no multiple of the chunk and
# the batch is odd, so that ranks have unequal parts. So do rounded products.
# shellcheck source=tests/program.sh
. "$(dirname "$0")/program.sh"

cat >"$dir/hybrid.yaml" <<'END'
model:
  width: 32
  chunk: 32
  blocks:
    - {mixer: ssd, state: 16, heads: 4}
    - {mixer: lssl, state: 8}
    - {mixer: s4d, state: 8}
    - {mlp: swiglu, expand: 2}
data:
  task: {name: mqar, vocab: 32, pairs: 4}
  length: 157
  batch: 5
train: {steps: 6, seed: 7}
optimizer: {name: adamw, lr: 3.0e-3}
schedule: {name: cosine, warmup: 2}
checkpoint: {every: 0, keep: 2}
eval: {every: 3, batches: 2}
END

# train_on DP SP THREADS [ARGUMENT...]: in $dir/run, which is left there.
train_on() {
    local dp=$1 sp=$2 threads=$3
    shift 3
    rm -rf "$dir/run"
    run_ranks $((dp * sp)) train "$dir/hybrid.yaml" --run-dir "$dir/run" --dp "$dp" --sp "$sp" \
        --threads "$threads" "$@"
    expect_exit 0 "dp $dp x sp $sp, $threads threads $*"
}

train_on 1 1 1
mv "$dir/run" "$dir/one"
[[ $(grep -c '"loss":' "$dir/one/metrics.jsonl") == 6 ]] || fail "not one loss a step"

compared=0
for layout in "1 1" "2 1" "1 2" "4 1" "2 2" "1 4" "1 3" "3 1"; do
    for threads in 1 2; do
        read -r dp sp <<<"$layout"
        train_on "$dp" "$sp" "$threads"
        expect_same "$dir/one" "$dir/run"
        compared=$((compared + 1))
    done
done

# Ways to save memory change no bit either.
train_on 1 2 2 --set train.recompute=block
expect_same "$dir/one" "$dir/run"
train_on 2 1 1 --set train.accumulate=2
expect_same "$dir/one" "$dir/run"

# Without products in bf16 (this variable hides the instructions) all ranks go on
# in float32, and one of them says so.
export DNNL_MAX_CPU_ISA=AVX2
train_on 2 1 1 --set train.precision=bf16
unset DNNL_MAX_CPU_ISA
warnings=$(grep -c 'no products in bf16: .* go on in float32' "$dir/err")
[[ $warnings == 1 ]] || fail "$warnings warnings that there is no bf16"
expect_same "$dir/one" "$dir/run"
expect_line "$dir/run/metrics.jsonl" '"precision":"float32"' "the precision in force"
expect_line "$dir/run/config.yaml" 'precision: bf16' "the precision asked for"

# auto is float32 there: no warning, the choice in the run's files.
export DNNL_MAX_CPU_ISA=AVX2
train_on 1 2 1 --set train.precision=auto
unset DNNL_MAX_CPU_ISA
expect_line "$dir/err" '^precision: float32 \(auto\): no bf16, ' "auto without bf16"
if grep -q 'no products in bf16' "$dir/err"; then fail "a warning of auto without bf16"; fi
expect_same "$dir/one" "$dir/run"
expect_line "$dir/run/config.yaml" 'precision: float32' "the choice without bf16"

# Elsewhere it is what is faster: the bits of a run that was told so, trial or not.
train_on 2 1 1 --set train.precision=auto
choice=$(sed -n 's/^ *precision: //p' "$dir/run/config.yaml")
[[ $choice == float32 || $choice == bf16 ]] || fail "auto chose '$choice'"
expect_line "$dir/run/metrics.jsonl" "\"precision\":\"$choice\",\"precision_why\":\"$choice \(auto\)" \
    "the choice"
mv "$dir/run" "$dir/auto"
train_on 1 2 1 --set train.precision="$choice"
expect_same "$dir/auto" "$dir/run"

# Rounding, which any processor can do, makes other bits, on every layout the same.
train_on 1 1 1 --set train.precision=bf16_emulated
mv "$dir/run" "$dir/rounded"
train_on 1 2 2 --set train.precision=bf16_emulated
expect_same "$dir/rounded" "$dir/run"
if cmp -s <(trained "$dir/rounded") <(trained "$dir/one"); then fail "nothing was rounded"; fi
# So do products in bf16, or what stands for them where there are none.
train_on 1 1 1 --set train.precision=bf16
mv "$dir/run" "$dir/hardware"
for layout in "2 1 1" "1 3 2"; do
    read -r dp sp threads <<<"$layout"
    train_on "$dp" "$sp" "$threads" --set train.precision=bf16
    expect_same "$dir/hardware" "$dir/run"
done

passed "$compared layouts, recomputation and accumulation: the bits of one process"
