#!/bin/bash
# Every command does what its help says: exit codes, the essential output, and
# what a run folder holds.
# shellcheck source=tests/program.sh
. "$(dirname "$0")/program.sh"

cat >"$dir/text.yaml" <<END
model:
  width: 32
  chunk: 32
  blocks:
    - {mixer: ssd, state: 16, heads: 4}
    - {mixer: lssl, state: 8}
    - {mlp: swiglu, expand: 2}
data: {dataset: $dir/text.h5, length: 128, batch: 4}
train: {steps: 6, seed: 1}
optimizer: {lr: 1.0e-2}
checkpoint: {every: 2, keep: 2}
eval: {every: 3, batches: 2}
END

# does WHAT ARGUMENT...: ends well.
does() {
    local what=$1
    shift
    run "$@"
    expect_exit 0 "$what"
}
out_says() { expect_line "$dir/out" "$1" "$2"; } # PATTERN WHAT

helps() {
    local command
    for command in train eval generate data checkpoint report bench config mixers tasks doctor; do
        does "--help" --help
        out_says "^  $command +[a-zA-Z]" "--help"
        does "$command --help" "$command" --help
        out_says "^Usage: ropewalk $command" "$command --help"
        [[ ! -s $dir/err ]] || fail "$command --help: writes to standard error"
        does "$command --usage" "$command" --usage
    done
    run_ranks 2 train --help
    expect_exit 0 "train --help on 2 ranks"
    [[ $(grep -c '^Usage:' "$dir/out") == 1 ]] || fail "train --help on 2 ranks: not once"
    does "--version" --version
    out_says '^ropewalk [0-9]+\.[0-9]+' "--version"
}

catalogs() {
    local what
    does "mixers" mixers
    for what in lssl s4d ssd; do out_says "^$what: .+" "mixers"; done
    does "mixers ssd" mixers ssd
    out_says '^ +heads +integer' "mixers ssd"
    grep -q '^lssl' "$dir/out" && fail "mixers ssd: shows lssl too"
    does "tasks" tasks
    for what in copy delay mqar passkey; do out_says "^$what: .+" "tasks"; done
    does "tasks mqar" tasks mqar
    out_says '^ +pairs +integer' "tasks mqar"
}

doctor() {
    cd "$dir" || exit 1
    run doctor
    cd - >/dev/null || exit 1
    out_says '^(ok|warn|FAIL) +memory ' "doctor"
    out_says '^(ok|warn|FAIL) +MPI ' "doctor"
    out_says '^ok +bf16 +([0-9]+ GFLOP/s, one core: [0-9.]+ times float32; |no: )' "doctor"
    out_says '^[0-9]+ ok, [0-9]+ warn, [0-9]+ FAIL$' "doctor"
    expect_exit "$(grep -c '^FAIL' "$dir/out")" "doctor (1 if a line says FAIL)"
    OMP_WAIT_POLICY=active run doctor
    out_says '^warn +OpenMP .*OMP_WAIT_POLICY=active$' "doctor with threads that wait actively"
}

# What messages name exists: commands as `ropewalk WORD` (the words after it in prose are
# listed here), options as --WORD (of this program, of configure, of docker, mpirun, srun).
named() {
    local word prose=' built dataset did does goes knows lock program reads runs that threads was '
    grep -rohE --include='*.c' --exclude=report_style.c '"([^"\\]|\\.)*"' \
        "$top"/{src,jobs,mpi,checkpoints,data_pipeline} >"$dir/strings"
    "$program" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p' >"$dir/commands"
    { while read -r word; do "$program" "$word" --help; done <"$dir/commands"
      "$top/configure" --help
      echo ' --help --usage --version --shm-size --bind-to --cpu-bind --oversubscribe'; } >"$dir/options"
    grep -qx train "$dir/commands" || fail "no list of commands"
    for word in $(grep -oE 'ropewalk [a-z]+' "$dir/strings" | sed 's/ropewalk //' | sort -u); do
        [[ $prose == *" $word "* ]] || grep -qx -- "$word" "$dir/commands" ||
            fail "a message names the command $word, which does not exist"
    done
    for word in $(grep -oE -- '--[a-z][a-z-]+' "$dir/strings" | sort -u); do
        grep -qE -- "(^|[ ,])$word([=, []|\$)" "$dir/options" ||
            fail "a message names the option $word, which does not exist"
    done
}

# Is the file JSON? With jq also: is what PATH names in it?
holds_json() { # FILE PATH WHAT
    [[ $(head -c 1 "$1") == "{" ]] || fail "$3: no JSON"
    command -v jq >/dev/null || return 0
    jq -e "$2" "$1" >"$dir/err" 2>&1 || fail "$3: not JSON, or without $2"
}

# Every mixer at a tiny size, alone and on ranks that share the sequence.
bench() {
    local mixer
    does "bench" bench limits mixers --length 96 --width 32 --rounds 1 --threads 1 \
        --json "$dir/bench.json"
    out_says '^ +products, float32 +[0-9.]+ GFLOP/s, BLAS kernels for [A-Za-z]+' "bench"
    out_says '^ +subnormal numbers.*flushed to zero here$' "bench"
    out_says '^ +products, bf16 +([0-9.]+ GFLOP/s|no: .+)$' "bench"
    for mixer in $("$program" mixers | sed -n 's/^\([a-z0-9_]*\):.*/\1/p'); do
        out_says "^ +$mixer +96 +43 +([0-9.]+ +){8}0\\.0 +0\\.0|^ +$mixer .*not measured:" "bench"
    done
    expect_line "$dir/bench.json" '"triad_bytes_per_s": [1-9]' "bench --json"
    holds_json "$dir/bench.json" '.mixers[] | select(.mixer == "ssd") | .step_share_of_limits > 0' \
        "bench --json"
    does "bench ssd" bench limits ssd --length 64,96 --width 32 --rounds 1 --threads 1
    out_says '^ +ssd +64 +64 +([0-9.]+ +){10}[0-9.]+$' "bench ssd"
    out_says '^ +ssd +96 +43 ' "bench ssd"
    run_ranks 3 bench ssd primitives --length 5k --width 32 --rounds 1 --threads 1
    expect_exit 0 "bench on 3 ranks"
    out_says '^3 ranks \(dp 1 x sp 3\)' "bench on 3 ranks"
    out_says '^ +ssd +5120 +1 +([0-9.]+ +){8}[1-9][0-9.]* +[1-9][0-9.]* ' "bench on 3 ranks"
    out_says '^ +tree scan +state +4096 +16400 +16400 ' "bench on 3 ranks"
    does "bench --limit" bench s4d --length 20k --width 32 --rounds 1 --limit 0
    out_says '^ +s4d +20480 .*not measured: a step would take ' "bench --limit"
}

# Ops of all kinds: without a carry, with each kind of it, losses, of a mixer alone, without
# a backward pass; and those that run on several ranks at once.
bench_ops() {
    local op pass='[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ (products|memory) +'
    for op in softplus cross_entropy short_conv ssd lstm delays; do
        does "bench ops $op" bench ops --only "$op" --width 32 --rounds 1 --threads 2 \
            --json "$dir/bench.json"
        out_says "^ +$op +[a-z0-9_]+ +[0-9]+ +[0-9]+ +($pass){2}[0-9.]+\$" "bench ops $op"
        holds_json "$dir/bench.json" ".ops[0].op == \"$op\" and .ops[0].backward.share_of_limit > 0" \
            "bench ops $op --json"
    done
    does "bench ops positions" bench ops --only positions --width 32 --rounds 1 --threads 1
    out_says "^ +positions +longconv +0 +33 +$pass(- +){5}[0-9.]+\$" "bench ops positions"
    run_ranks 3 bench ops --only reverse --width 32 --rounds 1 --threads 1
    expect_exit 0 "bench ops on 3 ranks"
    out_says "^ +reverse +sample +32 +32 +($pass){2}" "bench ops on 3 ranks"
}

# Whole steps of models; what ranks gain; what the order of sums costs.
bench_steps() {
    does "bench steps" bench steps --only "s4d 4x256" --length 64,2k --rounds 1 --threads 1 \
        --recompute chunk --json "$dir/bench.json"
    out_says ' recompute chunk;' "bench steps"
    out_says '^ +s4d 4x256 +64 +64 +[0-9.]+ +[0-9]+ +[0-9.]+ +1\.00 +([0-9.]+ +){4}[0-9]+$' \
        "bench steps"
    out_says '^ +s4d 4x256 +2048 +2 +([0-9.]+ +){8}[0-9]+$' "bench steps"
    holds_json "$dir/bench.json" '.steps[1].length == 2048 and .steps[1].tokens_per_s > 0' \
        "bench steps --json"
    run_ranks 2 bench scaling invariance --only "s4d 4x256" --length 512 --rounds 1 --threads 1 \
        --json "$dir/bench.json"
    expect_exit 0 "bench on 2 ranks"
    out_says '^ +s4d 4x256 +512 +8 +([0-9.]+ +){4}[0-9.]+$' "bench scaling"
    out_says '^ +s4d 4x256 +512 +8 +([0-9.]+ +){5}(-?[0-9.]+% *){3}$' "bench invariance"
    holds_json "$dir/bench.json" '.scaling[0].sp_gain > 0 and .invariance[0].carries_tree_seconds > 0' \
        "bench on 2 ranks --json"
}

bench_refuses() {
    run bench no_such_mixer
    expect_exit 2 "bench of what there is not"
    expect_line "$dir/err" 'no_such_mixer' "bench of what there is not"
    run bench invariences
    expect_exit 2 "bench of a misspelt part"
    expect_line "$dir/err" 'did you mean invariance' "bench of a misspelt part"
    run bench steps --recompute sometimes
    expect_exit 2 "bench --recompute sometimes"
    expect_line "$dir/err" 'none, block or chunk' "bench --recompute sometimes"
    run bench scaling
    expect_exit 2 "bench scaling on one rank"
    expect_line "$dir/err" 'mpirun -n' "bench scaling on one rank"
    run bench steps --only no_such_model
    expect_exit 2 "bench --only of what there is not"
    run bench limits --json "$dir/nowhere/bench.json"
    expect_exit 1 "bench --json where nothing can be written"
}

data() {
    cat "$top"/LICENSE "$top"/tests/*.sh >"$dir/text.txt"
    gzip -c "$dir/text.txt" >"$dir/text.txt.gz"
    does "data build" data build "$dir/text.h5" "$dir/text.txt"
    does "data build of a compressed text" data build "$dir/zipped.h5" "$dir/text.txt.gz"
    does "data info" data info "$dir/text.h5"
    out_says '^kind +bytes' "data info"
    out_says '^vocab +256' "data info"
    out_says "^tokens +$(stat -c %s "$dir/text.txt") \(training [0-9]+, held out [0-9]+\)" "data info"
    out_says '^source +.*text.txt' "data info"
    grep '^content' "$dir/out" >"$dir/content"
    does "data info" data info "$dir/zipped.h5"
    grep '^content' "$dir/out" | diff "$dir/content" - >"$dir/err" ||
        fail "data build: another content from a compressed text"
    does "data verify" data verify "$dir/text.h5"
    out_says 'text.h5: whole ' "data verify"
    printf '{"text": "one"}\n{"text": "two"}\n' >"$dir/lines.jsonl"
    does "data build of JSON lines" data build "$dir/lines.h5" "$dir/lines.jsonl"
    does "data info of JSON lines" data info "$dir/lines.h5"
    out_says '^documents +2' "data info of JSON lines"
    printf '>one\nACGTACGT\n>two\nTTTTACGT\n' >"$dir/genome.fa"
    does "data build of FASTA" data build "$dir/genome.h5" "$dir/genome.fa" --heldout 0
    does "data info of FASTA" data info "$dir/genome.h5"
    out_says '^kind +alphabet .*ACGT' "data info of FASTA"
}

# same_text WHAT: the dataset piped.h5 has the tokens of text.h5.
same_text() {
    expect_exit 0 "$1"
    does "data info of $1" data info "$dir/piped.h5"
    grep '^content' "$dir/out" | diff "$dir/content" - >"$dir/err" || fail "$1: other tokens"
}

# What comes through a pipe is what the file holds.
data_pipes() {
    run data build "$dir/piped.h5" <(cat "$dir/text.txt")
    same_text "data build of <(...)"
    rm "$dir/piped.h5"
    cat "$dir/text.txt.gz" | timeout "$limit" "$program" data build "$dir/piped.h5" - 2>"$dir/err"
    code=$?
    same_text "data build of -"
    rm "$dir/piped.h5"
    cat "$dir/text.txt" | timeout "$limit" "$program" data build "$dir/piped.h5" /dev/stdin 2>"$dir/err"
    code=$?
    same_text "data build of /dev/stdin"
    rm "$dir/piped.h5"
    mkfifo "$dir/pipe"
    cat "$dir/text.txt" >"$dir/pipe" &
    run data build "$dir/piped.h5" "$dir/pipe"
    same_text "data build of a named pipe"
    rm "$dir/piped.h5"
    # Nobody writes to it: a signal ends the wait.
    timeout "$limit" "$program" data build "$dir/piped.h5" "$dir/pipe" 2>"$dir/err" &
    local waiting=$!
    until [[ -n $(find /proc/[0-9]*/fd -lname "$dir/pipe" 2>/dev/null) ]]; do
        kill -0 $waiting || fail "data build of a pipe without a writer: does not wait"
        sleep 0.05
    done
    kill -TERM $waiting # timeout passes it on
    wait $waiting
    [[ $? == 143 ]] || fail "data build of a pipe without a writer: SIGTERM does not end it"
    [[ ! -e $dir/piped.h5 ]] || fail "data build of a pipe without a writer: writes a file"
}

# One bad line ends a build with its number, or is left out and told.
data_bad_lines() {
    printf '{"a": {"b": "one"}, "n": 1e999}\n{"a": \n{"a": {"b": "two"}}\n' >"$dir/bad.jsonl"
    run data build "$dir/bad.h5" "$dir/bad.jsonl" --field a.b
    expect_exit 1 "data build of a bad line"
    expect_line "$dir/err" 'bad.jsonl:2: not JSON.*--skip-bad' "data build of a bad line"
    does "data build --skip-bad" data build "$dir/bad.h5" "$dir/bad.jsonl" --field a.b --skip-bad
    expect_line "$dir/err" 'bad.jsonl: jsonl, 2 documents, 6 tokens, 1 bad line' "--skip-bad"
    expect_line "$dir/err" 'bad.jsonl:2: not JSON' "--skip-bad"
    rm "$dir/bad.h5"
}

# Lists, folders, additions; what is there is kept.
data_inputs() {
    local folder="$dir/corpus" i
    mkdir -p "$folder/deep"
    for i in 1 2 3 4; do echo "text $i" >"$folder/deep/$i.txt"; done
    does "data build of a folder" data build "$dir/folder.h5" "$folder"
    does "data info of a folder" data info "$dir/folder.h5"
    out_says '^tokens +28 ' "data build of a folder"
    find "$folder" -name '*.txt' -print0 | LC_ALL=C sort -z |
        "$program" data build "$dir/list.h5" --files-from - --null 2>"$dir/err" ||
        fail "data build of a list"
    cmp "$dir/folder.h5" "$dir/list.h5" || fail "data build: a list gives another file than a folder"
    # A command line at a time: the second one fails, unless it adds.
    find "$folder" -name '*.txt' | LC_ALL=C sort |
        xargs -n 3 "$program" data build "$dir/all.h5" 2>"$dir/err" &&
        fail "data build by xargs loses inputs"
    expect_line "$dir/err" 'all.h5 is a dataset already.*--append.*--files-from' "data build by xargs"
    find "$folder" -name '*.txt' | LC_ALL=C sort |
        xargs -n 3 "$program" data build "$dir/more.h5" --append 2>"$dir/err" ||
        fail "data build --append by xargs"
    cmp "$dir/folder.h5" "$dir/more.h5" || fail "data build --append loses inputs"
    does "data build --force" data build "$dir/all.h5" "$folder" --force
    ! grep -q 'same bytes' "$dir/err" || fail "inputs that differ are told to be the same"
    cp "$folder/deep/2.txt" "$dir/copy.txt"
    does "data build of a copy" data build "$dir/copy.h5" "$folder" "$dir/copy.txt"
    expect_line "$dir/err" 'deep/2.txt and .*copy.txt hold the same bytes .1 such' "a copy"
    does "data build --append again" data build "$dir/copy.h5" --append "$folder/deep/1.txt"
    expect_line "$dir/err" 'hold the same bytes .2 such inputs' "an input that is added again"
    cmp "$dir/folder.h5" "$dir/all.h5" || fail "data build --force"
    does "data build --heldout-files" data build "$dir/parts.h5" "$folder/deep/1.txt" \
        --heldout-files "$folder/deep/2.txt" --heldout-files "$folder/deep/3.txt"
    does "data info" data info "$dir/parts.h5"
    out_says '^tokens +21 \(training 7, held out 14\)' "data build --heldout-files"
    out_says '^held out +by files; 1 range, 12 tokens to predict' "data build --heldout-files"
    out_says '^source +.*3.txt .*held out' "data build --heldout-files"
    does "data build --heldout-by" data build "$dir/shuffled.h5" "$folder" \
        --heldout-by shuffled --heldout 0.3 --seed 5
    does "data info" data info "$dir/shuffled.h5"
    out_says '^held out +by shuffled, a share of 0.3, seed 5; 1 range, 6 tokens' "data build --heldout-by"
    run data build "$folder/deep/1.txt" "$folder/deep/2.txt"
    expect_exit 1 "data build without a name for the dataset"
    expect_line "$dir/err" 'comes first' "data build without a name for the dataset"
    grep -qx 'text 1' "$folder/deep/1.txt" || fail "data build replaced an input"
}

# The mean over nothing is null, not 0: here nearly every document is one byte.
nothing_to_predict() {
    { echo '{"text": "some longer text"}' && yes '{"text": "a"}' | head -n 300 &&
        echo '{"text": "some longer text"}'; } >"$dir/bytes.jsonl"
    does "data build" data build "$dir/bytes.h5" "$dir/bytes.jsonl" --heldout 0.9
    cat >"$dir/bytes.yaml" <<END
model: {width: 8, chunk: 8, blocks: [{mixer: ssd, state: 4, heads: 2}]}
data: {dataset: $dir/bytes.h5, length: 16, batch: 1}
train: {steps: 3}
eval: {batches: 1}
END
    does "training where little is to be predicted" train "$dir/bytes.yaml" --run-dir "$dir/bytes"
    expect_line "$dir/err" 'no token of its sequences is to be predicted' "a step over nothing"
    expect_line "$dir/err" 'nothing to predict in the first 1 held-out batches' "evaluating nothing"
    expect_line "$dir/bytes/metrics.jsonl" '"loss":null' "a step over nothing"
    expect_line "$dir/bytes/metrics.jsonl" '"eval_loss":null' "evaluating nothing"
    grep -qE '"(eval_)?loss":0[,}]' "$dir/bytes/metrics.jsonl" && fail "a mean over nothing is 0"
}

# What an input is named, and what a run is of, is shown as text.
data_names() {
    cp "$dir/genome.fa" "$dir/"$'ge\e[31mno\nme.fa'
    does "data build of an odd name" data build "$dir/odd.h5" "$dir/"$'ge\e[31mno\nme.fa' --heldout 0
    does "data info of an odd name" data info "$dir/odd.h5"
    out_says '^source +.*ge\\x1b\[31mno\\x0ame.fa \(' "data info of an odd name"
    grep -q $'\e' "$dir/out" "$dir/err" && fail "data info: a terminal would take it for a command"
    sed "s|text.h5|te\\\\e[31mxt.h5|; s|dataset: \([^,]*\)|dataset: \"\1\"|" "$dir/text.yaml" >"$dir/odd.yaml"
    cp "$dir/text.h5" "$dir/"$'te\e[31mxt.h5'
    does "train on an odd name" train "$dir/odd.yaml" --run-dir "$dir/"$'r\e[31mun'
    grep -q $'\e' "$dir/out" "$dir/err" "$dir/"r*un/{log.txt,metrics.jsonl} &&
        fail "train: a terminal would take it for a command"
    does "checkpoint show of an odd name" checkpoint show "$dir/"$'r\e[31mun'
    grep -q $'\e' "$dir/out" && fail "checkpoint show: a terminal would take it for a command"
    does "report of an odd name" report "$dir/"$'r\e[31mun'
    grep -q $'\e' "$dir/out" "$dir/"r*un/report.html && fail "report: a command for a terminal"
    holds_json "$dir/"r*un/metrics.jsonl '.step >= 0' "metrics of an odd name"
}

# A damaged byte is found, by verify and by whoever reads it.
data_damage() {
    local size
    size=$(stat -c %s "$dir/text.h5")
    cp "$dir/text.h5" "$dir/bad.h5"
    head -c 64 /dev/zero | dd of="$dir/bad.h5" bs=1 seek=$((size / 2)) conv=notrunc 2>"$dir/err"
    run data verify "$dir/bad.h5"
    expect_exit 1 "data verify of a damaged dataset"
    expect_line "$dir/err" 'damaged|data build' "data verify of a damaged dataset"
}

# Each line of metrics.jsonl is one JSON object, with the fields that are promised.
metrics() {
    local number='-?(0|[1-9][0-9]*)(\.[0-9]+)?(e[-+]?[0-9]+)?' text='"([^"\\]|\\.)*"' field
    field="\"[a-z_]+\":($number|null|$text)"
    grep -vE "^\\{$field(,$field)*\\}\$" "$1/metrics.jsonl" >"$dir/err" && fail "metrics: no JSON"
    grep '"loss":' "$1/metrics.jsonl" >"$dir/steps"
    [[ $(wc -l <"$dir/steps") == 6 ]] || fail "metrics: not one line a step"
    for field in step loss bits_per_byte tokens tokens_per_s lr grad_norm step_s comm_s \
        exposed_comm_s bytes_sent; do
        [[ $(grep -c "\"$field\":" "$dir/steps") == 6 ]] || fail "metrics: no $field"
    done
    [[ $(grep -c '"eval_loss":' "$1/metrics.jsonl") == 2 ]] || fail "metrics: not 2 evaluations"
    expect_line "$dir/steps" '"step":6,.*"tokens":3072,' "metrics"
}

run_folder() {
    run_ranks 2 train "$dir/text.yaml" --run-dir "$dir/run" --set train.seed=5 --threads 1
    expect_exit 0 "train"
    metrics "$dir/run"
    expect_line "$dir/run/config.yaml" '^  seed: 5$' "the resolved configuration"
    expect_line "$dir/run/config.yaml" '^  beta2: ' "a default in the resolved configuration"
    expect_line "$dir/run/log.txt" '^step 6: held-out loss .* bits per byte' "log.txt"
    [[ $(find "$dir/run/checkpoints" -maxdepth 1 -name 'step-*' | wc -l) == 2 ]] ||
        fail "not the 2 checkpoints that are to be kept"
    run_ranks 2 train "$dir/run/config.yaml" --run-dir "$dir/again"
    expect_exit 0 "training from a run's config.yaml"
    expect_same "$dir/run" "$dir/again"
    diff "$dir/run/config.yaml" "$dir/again/config.yaml" >"$dir/err" ||
        fail "config.yaml changes when it is loaded"
    # Nothing is left to do: nothing is done again.
    run_ranks 2 train "$dir/run/config.yaml" --run-dir "$dir/again"
    expect_exit 0 "training that is done"
    metrics "$dir/again"
}

report() {
    expect_line "$dir/run/report.html" '</html>' "the report of training"
    rm "$dir/run/report.html"
    does "report" report "$dir/run" "$dir/again"
    out_says 'run/report.html' "report"
    out_says 'again/report.html' "report"
    expect_line "$dir/run/report.html" '<svg' "report"
    expect_line "$dir/run/report.html" '</html>' "report"
    grep -qE '(src|href)="?(https?:)?//' "$dir/run/report.html" && fail "report: needs the network"
}

evaluation() {
    does "eval" eval "$dir/run"
    out_says '^step 6$' "eval"
    out_says '^loss [0-9.]+$' "eval"
    out_says '^bits_per_byte [0-9.]+$' "eval"
    out_says '^accuracy 0\.[0-9]+$' "eval"
    out_says '^data .*text.h5$' "eval"
    out_says '^evaluated held-out tokens$' "eval"
    cp "$dir/out" "$dir/alone"
    run_ranks 3 eval "$dir/run"
    expect_exit 0 "eval on 3 ranks"
    diff "$dir/alone" "$dir/out" >"$dir/err" || fail "eval on 3 ranks: other figures"
    does "eval --by-position" eval "$dir/run" --by-position
    head -n "$(wc -l <"$dir/alone")" "$dir/out" | diff "$dir/alone" - >"$dir/err" ||
        fail "eval --by-position: other figures"
    out_says '^ +0 - +0 +[0-9]+ +[0-9.]+$' "eval --by-position"
    out_says '^ +63 - +126 +[0-9]+ +[0-9.]+$' "eval --by-position"
    does "eval --length" eval "$dir/run" --length 50
    grep -q "^$(grep '^loss' "$dir/alone")$" "$dir/out" && fail "eval --length 50: the same loss"
    does "eval --data" eval "$dir/run" --data "$dir/zipped.h5"
    diff <(grep -v '^data ' "$dir/alone") <(grep -v '^data ' "$dir/out") >"$dir/err" ||
        fail "eval --data: other figures on the same data"
    does "eval of a checkpoint" eval "$dir/run/checkpoints/step-00000004"
    out_says '^step 4$' "eval of a checkpoint"
}

# sample FILE ARGUMENT...: 60 generated tokens.
sample() {
    local file=$1
    shift
    does "generate $*" generate "$dir/run" --prompt "the " --tokens 60 "$@"
    [[ $(wc -c <"$dir/out") == 65 ]] || fail "generate $*: not prompt, 60 bytes and a line's end"
    head -c 4 "$dir/out" | grep -q '^the ' || fail "generate $*: does not begin with the prompt"
    mv "$dir/out" "$dir/$file"
}

generation() {
    sample seed1 --seed 1
    sample seed1_again --seed 1
    sample seed2 --seed 2
    sample likeliest --temperature 0 --seed 1
    sample likeliest_again --temperature 0 --seed 2
    sample top1 --top-k 1 --seed 3
    sample top4 --top-k 4 --seed 1
    cmp -s "$dir/seed1" "$dir/seed1_again" || fail "generate: one seed, two samples"
    cmp -s "$dir/seed1" "$dir/seed2" && fail "generate: two seeds, one sample"
    cmp -s "$dir/likeliest" "$dir/likeliest_again" || fail "generate: temperature 0 asks the seed"
    cmp -s "$dir/likeliest" "$dir/top1" || fail "generate: temperature 0 is not the likeliest token"
    cmp -s "$dir/seed1" "$dir/top4" && fail "generate: --top-k 4 changes nothing"
    [[ $(tail -c 61 "$dir/top4" | fold -w 1 | sort -u | wc -l) -le $(
        tail -c 61 "$dir/seed1" | fold -w 1 | sort -u | wc -l) ]] ||
        fail "generate: --top-k 4 takes more different tokens than no limit"
}

checkpoints() {
    does "checkpoint list" checkpoint list "$dir/run"
    out_says '^step-0*4 .* ok$' "checkpoint list"
    out_says '^step-0*6 .* ok$' "checkpoint list"
    does "checkpoint show" checkpoint show "$dir/run"
    out_says '^step +6$' "checkpoint show"
    out_says 'written by +dp 2, sp 1, threads 1' "checkpoint show"
    does "checkpoint verify" checkpoint verify "$dir/run"
    [[ $(grep -c ': ok,' "$dir/out") == 2 ]] || fail "checkpoint verify: not both checkpoints"
    does "checkpoint digest" checkpoint digest "$dir/run"
    out_says '^param/embedding.weight float32 256x32 [0-9a-f]{16}$' "checkpoint digest"
    out_says '^opt/m/embedding.weight float32 256x32 [0-9a-f]{16}$' "checkpoint digest"
    [[ $(tail -n 1 "$dir/out") =~ ^digest\ [0-9a-f]+$ ]] || fail "checkpoint digest: no last line"
    does "checkpoint export" checkpoint export "$dir/run" "$dir/weights.h5"
    [[ $(head -c 4 "$dir/weights.h5" | tail -c 3) == HDF ]] || fail "checkpoint export: no HDF5"
    if command -v h5ls >/dev/null; then
        h5ls -r "$dir/weights.h5" >"$dir/out"
        out_says 'embedding.weight +Dataset \{256, 32\}' "checkpoint export"
    fi
}

helps
catalogs
doctor
named
bench
bench_ops
bench_steps
bench_refuses
data
data_pipes
data_bad_lines
data_names
data_damage
data_inputs
nothing_to_predict
run_folder
report
evaluation
generation
checkpoints
passed
