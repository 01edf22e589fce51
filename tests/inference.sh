#!/bin/bash
# A trained model is used: where its dataset is not, on other data, with prompts of all
# kinds. What it cannot do well it refuses.
# shellcheck source=tests/program.sh
. "$(dirname "$0")/program.sh"
# mpirun need not give ranks that it ends a second to go.
export OMPI_MCA_odls_base_sigkill_timeout=0

cat >"$dir/config.yaml" <<'END'
model:
  width: 16
  chunk: 32
  blocks:
    - {mixer: ssd, state: 8, heads: 2}
data: {dataset: text.h5, length: 96, batch: 3}
train: {steps: 3, seed: 1}
eval: {batches: 1}
parallel: {threads: 1}
END

does() { # WHAT ARGUMENT...: ends well
    local what=$1
    shift
    run "$@"
    expect_exit 0 "$what"
}
# refused CODE PATTERN WHAT ARGUMENT...: alone and on two ranks, one message.
refused() {
    local expected=$1 pattern=$2 what=$3 ranks
    shift 3
    for ranks in 1 2; do
        run_ranks "$ranks" "$@"
        expect_exit "$expected" "$what ($ranks ranks)"
        [[ $(grep -c '^ropewalk[ a-z]*: ' "$dir/err") == 1 ]] || fail "$what: not one message"
        expect_line "$dir/err" "$pattern" "$what ($ranks ranks)"
    done
}
out_says() { expect_line "$dir/out" "$1" "$2"; }
figures() { sed '/^data /d; /^evaluated /d' "$dir/out"; }

make_runs() {
    cat "$top"/LICENSE "$top"/tests/[a-m]*.sh >"$dir/text.txt"
    head -c 3000 "$top/tests/tests.mk" >"$dir/own.txt"
    { echo '>one'; tr -dc ACGT <"$dir/text.txt" | fold -w 60; echo; } >"$dir/genome.fa"
    cd "$dir" || exit 1
    does "data build" data build text.h5 text.txt
    does "data build" data build own.h5 own.txt --heldout 0.5
    does "data build" data build genome.h5 genome.fa
    does "train" train config.yaml --run-dir run
    does "train" train config.yaml --run-dir dna --set data.dataset=genome.h5
    does "train" train config.yaml --run-dir dna --set data.dataset=genome.h5
    mkdir away
}

# A run folder that is copied elsewhere: its weights say what tokens mean.
without_dataset() {
    local name
    for name in run dna; do
        does "generate" generate $name --tokens 50 --seed 4
        mv out text.$name
        cp -r $name away/$name
    done
    mkdir hidden
    mv text.h5 genome.h5 hidden
    for name in run dna; do
        cd away || exit 1
        does "generate in a copy without its dataset" generate $name --tokens 50 --seed 4
        cd .. || exit 1
        cmp -s out text.$name || fail "generate $name: another text without the dataset"
    done
    refused 1 'text.h5 of the run is neither .* away/run .*--data FILE' "eval without a dataset" eval away/run
    refused 1 'text.h5.*data.dataset|cannot open.*text.h5' "resuming without a dataset" \
        train away/run/config.yaml --run-dir away/run --set train.steps=4
    mv hidden/* .
}

# Relative paths: from where the command runs, from the run folder, from those above it.
dataset_places() {
    local place
    does "eval" eval run
    figures >wanted
    for place in away/run away .; do
        mv text.h5 moved.h5
        mv moved.h5 $place/text.h5
        cd hidden || exit 1
        does "eval with the dataset in $place" eval ../away/run
        does "eval of a checkpoint" eval ../away/run/checkpoints/step-00000003
        cd .. || exit 1
        figures | cmp -s - wanted || fail "eval: other figures with the dataset in $place"
        mv $place/text.h5 text.h5 2>/dev/null
    done
    # A file of that name, but another dataset, is passed over for the right one.
    cp own.h5 hidden/text.h5
    cd hidden || exit 1
    does "eval beside another dataset of the same name" eval ../run
    cd .. || exit 1
    figures | cmp -s - wanted || fail "eval: takes another dataset of the same name"
    expect_line err 'text.h5 is at .*/text.h5' "eval beside another dataset of the same name"
    mkdir beside
    cp own.h5 beside/mine.h5
    cp config.yaml beside
    does "a dataset beside the configuration" \
        train beside/config.yaml --run-dir beside/run --set data.dataset=mine.h5
    expect_line beside/run/config.yaml 'dataset: .*beside/mine.h5' "the path that was found"
    refused 1 'gone.h5 is neither in the working directory nor in beside.*data build' "no dataset" \
        train beside/config.yaml --run-dir beside/none --set data.dataset=gone.h5
}

# Another dataset in the place of the run's: what it holds out may have been trained on.
rebuilt() {
    local change
    cp text.h5 first.h5
    for change in text split; do
        if [[ $change == text ]]; then
            does "data build" data build new.h5 own.txt text.txt
        else
            does "data build" data build new.h5 text.txt --heldout 0.3
        fi
        mv new.h5 text.h5
        refused 1 'text.h5 is not the dataset .*trained on.*--data' "eval after other $change" eval run
        does "eval --data after other $change" eval run --data text.h5
        expect_line err '^warning: text.h5 is not the dataset .* may have been trained on' "other $change"
        out_says '^evaluated held-out tokens$' "eval --data of the own path"
        does "eval --split all" eval run --data first.h5 --split all
        expect_line err '^warning: first.h5 is the dataset of the run.*trained on' "all of the own data"
        does "generate after other $change" generate run --tokens 3
        rm text.h5
    done
    mv first.h5 text.h5
}

# A file of one's own: all of its tokens, or those that it holds out; on any ranks.
own_file() {
    does "eval --data" eval run --data own.h5
    out_says '^data own.h5$' "eval --data"
    out_says '^evaluated all tokens$' "eval --data"
    out_says "^tokens 2999$" "eval --data"
    [[ ! -s err ]] || fail "eval --data: warns"
    cp out alone
    for ranks in 2 3; do
        run_ranks $ranks eval run --data own.h5
        expect_exit 0 "eval --data on $ranks ranks"
        cmp -s out alone || fail "eval --data on $ranks ranks: other figures"
    done
    does "data build --heldout 1" data build whole.h5 own.txt --heldout 1
    does "eval of a file without training tokens" eval run --data whole.h5
    figures | cmp -s - <(sed '/^data /d; /^evaluated /d' alone) || fail "eval of --heldout 1: other figures"
    does "eval --data --split" eval run --data own.h5 --split heldout
    out_says '^evaluated held-out tokens$' "eval --split heldout"
    out_says '^tokens 1499$' "eval --split heldout"
    does "eval of a file that is shorter than a sequence" eval run --data own.h5 --length 8000
    out_says '^tokens 2999$' "eval of a short file"
    cp own.h5 "odd: 'name' #1.h5"
    does "eval of an odd name" eval run --data "odd: 'name' #1.h5"
    cmp -s <(figures) <(sed '/^data /d; /^evaluated /d' alone) || fail "eval of an odd name: other figures"
    refused 2 '--split takes heldout or all' "a split that is none" eval run --split some
}

# Nothing to predict is no loss of 0.
nothing() {
    does "data build" data build none.h5 own.txt --heldout 0
    refused 1 'none.h5 has no held-out tokens' "no held-out part" \
        eval run --data none.h5 --split heldout
    printf '{"text": "a"}\n{"text": "b"}\n{"text": "c"}\n' >single.jsonl
    does "data build" data build single.h5 single.jsonl --heldout 0
    refused 1 'nothing to predict.*single.h5' "documents of one byte" eval run --data single.h5
    [[ ! -s out ]] || fail "eval of nothing: prints figures"
}

alphabets() {
    printf '>one\nGGGTTTCCGTGTGT\n' >some.fa
    printf '>one\nACGTNNACGTAC\n' >more.fa
    does "data build" data build some.h5 some.fa --heldout 0
    does "data build" data build more.h5 more.fa --heldout 0
    does "eval on some of the letters" eval dna --data some.h5
    out_says '^tokens 13$' "eval on some of the letters"
    refused 1 'more.h5 has another vocabulary .*ACGTN.* trained on .*ACGT\)' "eval on more letters" \
        eval dna --data more.h5
    refused 1 'genome.h5 has another vocabulary .*ACGT.* trained on .*bytes' "eval of bytes on letters" \
        eval run --data genome.h5
    does "generate of letters" generate dna --tokens 30
    grep -qxE 'A[ACGT]{30}' out || fail "generate of letters: not a letter, then 30"
    does "a prompt in lower case" generate dna --prompt gattaca --tokens 9
    grep -qxE 'GATTACA[ACGT]{9}' out || fail "a prompt in lower case is not taken in upper case"
    expect_line err 'lower-case' "a prompt in lower case"
    cp out lower
    does "a prompt in upper case" generate dna --prompt GATTACA --tokens 9
    cmp -s out lower || fail "upper and lower case: two texts"
    [[ ! -s err ]] || fail "a prompt in upper case: says something"
    printf '>one\nGATT\r\naca\n' >prompt.fa
    does "a prompt in FASTA" generate dna --prompt-file prompt.fa --tokens 9
    cmp -s out lower || fail "a prompt in FASTA: another text"
    run generate dna --prompt ACUT
    expect_exit 2 "an unknown letter"
    expect_line err "'U' at position 3.* ACGT" "an unknown letter"
    run generate dna --prompt $'\n'
    expect_exit 2 "no letter"
    expect_line err 'prompt is empty' "no letter"
}

prompts() {
    does "generate" generate run --prompt $'two\nlines' --tokens 20
    cp out wanted
    printf 'two\nlines' >prompt
    does "--prompt-file" generate run --prompt-file prompt --tokens 20
    cmp -s out wanted || fail "--prompt-file: another text"
    "$program" generate run --prompt-file - --tokens 20 <prompt >out 2>err || fail "--prompt-file -"
    cmp -s out wanted || fail "--prompt-file -: another text"
    "$program" generate run --prompt-file <(cat prompt) --tokens 20 >out 2>err || fail "a pipe"
    cmp -s out wanted || fail "--prompt-file of a pipe: another text"
    head -c 300 /dev/urandom >prompt
    does "a prompt of any bytes" generate run --prompt-file prompt --tokens 0
    cmp -s <(head -c 300 out) prompt || fail "a prompt of any bytes is changed"
    does "no prompt" generate run --tokens 5
    [[ $(wc -c <out) == 7 && $(head -c 1 out | wc -l) == 1 ]] || fail "no prompt: not a line end first"
    : >prompt
    run generate run --prompt-file prompt
    expect_exit 2 "an empty prompt"
    run generate run --prompt-file absent
    expect_exit 1 "no prompt file"
    expect_line err 'absent.*check the path' "no prompt file"
    run generate run --prompt-file .
    expect_exit 1 "a folder as prompt"
    run generate run --prompt-file prompt --prompt x
    expect_exit 2 "two prompts"
    expect_line err 'both --prompt and --prompt-file' "two prompts"
    "$program" generate run --tokens 20 >/dev/full 2>err
    code=$?
    expect_exit 1 "a full device"
    expect_line err 'cannot write the generated text: No space' "a full device"
}

choices() {
    local p i
    does "generate" generate run --prompt ab --tokens 40
    cp out wanted
    does "--top-p 1" generate run --prompt ab --tokens 40 --top-p 1
    cmp -s out wanted || fail "--top-p 1 changes the text"
    does "--top-p 0.5" generate run --prompt ab --tokens 40 --top-p 0.5
    cmp -s out wanted && fail "--top-p 0.5 changes nothing"
    does "--temperature 0" generate run --prompt ab --tokens 40 --temperature 0
    cp out likeliest
    for p in 0 1e-6; do
        does "--top-p $p" generate run --prompt ab --tokens 40 --top-p $p
        cmp -s out likeliest || fail "--top-p $p is not the likeliest token"
    done
    for p in 1.01 -0.1 much nan; do
        run generate run --top-p=$p
        expect_exit 2 "--top-p $p"
    done
    does "--samples" generate run --prompt ab --tokens 40 --samples 3
    grep -ax '==> sample [1-3] of 3 <==' out | sort -u | wc -l >count
    [[ $(cat count) == 3 ]] || fail "--samples: not 3 headings"
    head -n 1 out | grep -qx '==> sample 1 of 3 <==' || fail "--samples: no heading first"
    for i in 1 2 3; do # 22 bytes of heading, 42 of text, a line end
        tail -c +$(((i - 1) * 65 + 1)) out | head -c 65 | tail -c +23 >sample.$i
        head -c 2 sample.$i | grep -q ab || fail "--samples: sample $i does not begin with the prompt"
    done
    cmp -s sample.1 wanted || fail "--samples: the first one is not the text of one sample"
    cmp -s sample.2 sample.3 && fail "--samples: two are the same"
    run generate run --samples 0
    expect_exit 2 "no samples"
}

# A terminal gets nothing that could change it; a pipe all bytes.
terminals() {
    command -v script >/dev/null || return 0
    printf 'a\033[31m\007\302\233\377\303\251\342\202\254\302' >prompt
    local call="'$program' generate run --prompt-file prompt --tokens 0"
    script -qec "$call" typescript >out 2>err </dev/null || fail "generate on a terminal"
    grep -qF 'a\x1b[31m\x07\xc2\x9b\xff'$'\303\251\342\202\254''\xc2' out ||
        fail "a terminal does not get \\xNN for what could harm it"
    script -qec "$call --raw" typescript >out 2>err </dev/null || fail "generate --raw on a terminal"
    grep -qF $'a\033[31m\007' out || fail "--raw: a terminal does not get all bytes"
    does "generate into a file" generate run --prompt-file prompt --tokens 0
    cmp -s <(head -c "$(wc -c <prompt)" out) prompt || fail "a file does not get all bytes"
}

# Tasks have no text. Neither do they take a dataset.
tasks() {
    sed 's|data: .*|data: {task: {name: mqar, vocab: 32, pairs: 4}, length: 96, batch: 3}|' \
        config.yaml >ids.yaml
    sed 's|data: .*|data: {task: {name: delay}, length: 96, batch: 3}|' config.yaml >reals.yaml
    local name
    for name in ids reals; do
        does "train on a task" train $name.yaml --run-dir $name
        does "eval of a task" eval $name
        out_says '^task (mqar|delay)$' "eval of a task"
        out_says '^evaluated 8 batches$' "eval of a task"
        run generate $name
        expect_exit 2 "generate of a task"
        refused 2 'task, not on a dataset; leave out --data' "a dataset for a task" \
            eval $name --data text.h5
    done
    run generate ids
    expect_line err 'trained on ids of a task, not on text' "generate of ids"
    run generate reals
    expect_line err 'trained on features of a task, not on text' "generate of features"
}

make_runs
without_dataset
dataset_places
rebuilt
own_file
nothing
alphabets
prompts
choices
terminals
tasks
passed
