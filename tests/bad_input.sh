#!/bin/bash
# What a user gets wrong is refused: one message, from one rank, that says what
# to do; the right exit code; no hang; nothing left that looks complete.
# shellcheck source=tests/program.sh
. "$(dirname "$0")/program.sh"
limit=30
# Nearly every run fails: mpirun need not give the ranks that it ends a second to go.
export OMPI_MCA_odls_base_sigkill_timeout=0

cat >"$dir/good.yaml" <<'END'
model:
  width: 16
  chunk: 32
  blocks:
    - {mixer: ssd, state: 8, heads: 2}
data:
  task: {name: mqar, vocab: 32, pairs: 4}
  length: 96
  batch: 3
train: {steps: 2, seed: 1}
eval: {batches: 1}
END
sed 's|task: .*|dataset: '"$dir"'/text.h5|' "$dir/good.yaml" >"$dir/text.yaml"

# What a command said: standard error without what mpirun adds to it (between
# lines of dashes, and a warning of its event library) and argp's pointer to --help.
said() { sed -e '/^-----/,/^-----/d' -e '/^\[warn\] Epoll /d' -e '/^Try /,/information\.$/d' -e '/^$/d' "$dir/err"; }

# refused CODE RANKS PATTERN WHAT ARGUMENT...: one message matches; exit code.
refused() {
    local expected=$1 ranks=$2 pattern=$3 what=$4
    shift 4
    run_ranks "$ranks" "$@"
    what="$what ($ranks ranks)"
    expect_exit "$expected" "$what"
    [[ $(said | wc -l) == 1 ]] || fail "$what: not exactly one message"
    said | grep -qE '^ropewalk( [a-z]+)?: ' || fail "$what: the message does not say whose it is"
    said | grep -qE -- "$pattern" || fail "$what: the message does not say '$pattern'"
    [[ ! -e $dir/none ]] || fail "$what: a run folder is left"
    grep -q $'\e' "$dir/err" "$dir/out" && fail "$what: a terminal would take it for a command"
}

# on_some_ranks CODE PATTERN WHAT ARGUMENT...: alone and on two and three.
on_some_ranks() {
    local expected=$1
    shift
    refused "$expected" 1 "$@"
    refused "$expected" $((2 + (turn++) % 2)) "$@"
}
turn=0

# no_train CODE PATTERN WHAT [ARGUMENT...]: training good.yaml with these fails.
no_train() {
    local expected=$1 pattern=$2 what=$3
    shift 3
    on_some_ranks "$expected" "$pattern" "$what" train "$dir/good.yaml" --run-dir "$dir/none" "$@"
}

wrong_commands() {
    on_some_ranks 2 'no command given; ropewalk --help' "no command"
    on_some_ranks 2 'no command trian.*did you mean train' "a misspelt command" trian
    refused 2 1 'which configuration' "train without a configuration" train
    refused 2 1 'which run folder or checkpoint' "eval without a run" eval
    refused 2 1 'which run folder or checkpoint' "generate without a run" generate
    refused 2 1 'at least one run folder' "report without a run" report
    refused 2 1 'list, show, verify, digest' "checkpoint without an action" checkpoint
    refused 2 1 'list, show, verify, digest' "an unknown action" checkpoint shwo x
    refused 2 1 'build' "data without an action" data
    refused 2 1 'build, info, verify' "an unknown action" data biuld x
    refused 2 1 'did you mean lssl' "an unknown mixer" mixers lsll
    refused 2 1 'did you mean mqar' "an unknown task" tasks mqra
}

wrong_options() {
    no_train 2 '--stop-at takes a whole number of at least 0' "--stop-at with a word" --stop-at soon
    no_train 2 '--stop-at takes a whole number of at least 0' "--stop-at with a negative step" --stop-at=-3
    no_train 2 'no value; write --set' "--set without a value" --set model.width
    no_train 2 '--set.*widht.*width' "--set of an unknown key" --set model.widht=8
    no_train 2 'neither auto nor a positive' "--dp 0" --dp 0
    no_train 2 'neither auto nor a positive' "--threads with a word" --threads many
    no_train 2 'dp \* sp ranks' "another number of ranks" --dp 5 --sp 1
    refused 2 1 'unrecognized option' "an unknown option" train "$dir/good.yaml" --widht 3
    refused 2 1 'Too many arguments' "two configurations" train "$dir/good.yaml" "$dir/good.yaml"
    refused 2 1 'at least 0' "a negative temperature" generate "$dir/run" --temperature=-1
    refused 2 1 'at least 0' "no number of tokens" generate "$dir/run" --tokens few
    refused 2 1 'whole number' "half a token" generate "$dir/run" --tokens 1.5
    refused 2 1 "at least 0 .none. and at most 1" "more than all held out" data build "$dir/x.h5" "$dir/text.txt" -x 2
    refused 2 1 'format' "an unknown format" data build "$dir/x.h5" "$dir/text.txt" -f html
    refused 2 2 'length' "a length of 0" eval "$dir/run" --length 0
    refused 2 2 'length' "no length" eval "$dir/run" --length long
}

wrong_configurations() {
    sed 's/width:/widht:/' "$dir/good.yaml" >"$dir/bad.yaml"
    on_some_ranks 2 'bad\.yaml:2: .*widht.*width' "an unknown key" \
        train "$dir/bad.yaml" --run-dir "$dir/none"
    sed 's/width: 16/width: wide/' "$dir/good.yaml" >"$dir/bad.yaml"
    on_some_ranks 2 'bad\.yaml:2: .*width.*wide' "a word for a number" \
        train "$dir/bad.yaml" --run-dir "$dir/none"
    printf 'model: {width: [1\n' >"$dir/bad.yaml"
    on_some_ranks 2 'bad\.yaml:' "broken YAML" train "$dir/bad.yaml" --run-dir "$dir/none"
    : >"$dir/bad.yaml"
    on_some_ranks 2 'data' "an empty configuration" train "$dir/bad.yaml" --run-dir "$dir/none"
    on_some_ranks 2 'cannot open.*absent.yaml.*check its path' "no configuration" \
        train "$dir/absent.yaml" --run-dir "$dir/none"
    refused 2 1 'must be a file' "a folder as configuration" train "$dir" --run-dir "$dir/none"
    no_train 2 'heads' "heads that do not divide" --set model.blocks.0.heads=3
    no_train 2 'heads: 65536 heads of [0-9]+ columns .*fewer heads' "columns beyond int" \
        --set 'model.blocks=[{mixer: linear_attention, heads: 65536, key_width: 4, value_width: 65536}]'
    no_train 2 'head_width: 65536 heads of [0-9]+ columns .*fewer heads' "columns that wrap to 0" \
        --set 'model.blocks=[{mixer: attention, heads: 65536, head_width: 65536}]'
    no_train 2 'power of two' "a chunk that is no power of two" --set model.chunk=48
    no_train 2 'did you mean ssd' "an unknown mixer" --set model.blocks.0.mixer=sds
    no_train 2 'did you mean mqar' "an unknown task" --set data.task.name=mqra
    no_train 2 'known: .*adamw' "an unknown optimizer" --set optimizer.name=adam
    no_train 2 'vocab of at least' "more pairs than keys" --set data.task.pairs=16
    no_train 2 'train.steps: must be' "a negative step count" --set train.steps=-1
}

# What a terminal would take for a command is shown instead, wherever it comes from.
commands_of_terminals() {
    sed 's/width:/"wi\\e[2Jdth":/' "$dir/good.yaml" >"$dir/bad.yaml"
    on_some_ranks 2 'unknown key model.wi\\x1b\[2Jdth' "a key with an escape sequence" \
        train "$dir/bad.yaml" --run-dir "$dir/none"
    sed 's/mixer: ssd/mixer: "s\\e]0;x\\a\\u202e"/' "$dir/good.yaml" >"$dir/bad.yaml"
    refused 2 1 "unknown mixer 's\\\\x1b]0;x\\\\x07\\\\xe2\\\\x80\\\\xae'" "a value with one" \
        train "$dir/bad.yaml" --run-dir "$dir/none"
    no_train 2 'x1b\[2J.*(no value|unknown)' "--set of one" --set $'\e[2J'
    refused 2 1 'unrecognized option .--x\\x1b\[2J' "an option with one" train $'--x\e[2J=3'
    refused 2 1 'no action x\\x1b\[2J' "an action with one" data $'x\e[2J'
    refused 2 1 'no command x\\x1b\[2J' "a command with one" $'x\e[2J'
    refused 2 1 'not x\\x1b\[2J' "a number with one" generate "$dir/run" --tokens $'x\e[2J'
    refused 2 1 'check its path' "a path with one" train $'/x\e[2J\n.yaml'
    refused 1 1 'x\\x1b\[2J' "a checkpoint with one" checkpoint show $'/x\e[2J'
    refused 1 1 'x\\x1b\[2J\\xff' "a dataset with one" data info $'/x\e[2J\xff'
    refused 1 1 'x\\x1b\[2J' "a run folder with one" report $'/x\e[2J'
}

# What the machine cannot have is refused, not tried until the kernel ends the rank.
too_large() {
    no_train 1 'out of memory: .*the (machine|job)' "weights of 98 TiB" \
        --set model.width=65536 --set model.repeat=1000
    no_train 1 'out of memory: .*the (machine|job)' "a batch of 95 GiB of tokens" \
        --set data.batch=1000000000
    printf 'a: &a [1,1,1,1,1,1,1,1,1]\n' >"$dir/bad.yaml"
    for i in a b c d e f g h; do
        printf '%s%s: &%s%s [*%s,*%s,*%s,*%s,*%s,*%s,*%s,*%s]\n' $i $i $i $i "$last" "$last" \
            "$last" "$last" "$last" "$last" "$last" "$last"
        last=$i$i
    done >>"$dir/bad.yaml"
    refused 2 1 'bad\.yaml:5:.*too large: .*aliases' "aliases of aliases" \
        train "$dir/bad.yaml" --run-dir "$dir/none"
}
last=a

wrong_layouts() {
    refused 2 3 'only 2 chunks.*smaller --sp' "more ranks than chunks" \
        train "$dir/good.yaml" --run-dir "$dir/none" --dp 1 --sp 3 --set data.length=64
    refused 2 3 'sequence.*(--dp|batch)' "more data-parallel ranks than sequences" \
        train "$dir/good.yaml" --run-dir "$dir/none" --dp 3 --sp 1 --set data.batch=2
}

make_data() {
    cat "$top"/LICENSE "$top"/tests/*.sh >"$dir/text.txt"
    run data build "$dir/text.h5" "$dir/text.txt"
    expect_exit 0 "data build"
    { echo ">genome"; tr -dc 'ACGT' <"$dir/text.txt" | fold -w 60; echo; } >"$dir/genome.fa"
    run data build "$dir/genome.h5" "$dir/genome.fa"
    expect_exit 0 "data build of FASTA"
    run train "$dir/text.yaml" --run-dir "$dir/run"
    expect_exit 0 "training on text"
}

wrong_data() {
    local text=(train "$dir/text.yaml" --run-dir "$dir/none")
    on_some_ranks 1 'absent.h5.*ropewalk data build' "no dataset" \
        "${text[@]}" --set "data.dataset=$dir/absent.h5"
    head -c $(($(stat -c %s "$dir/text.h5") / 2)) "$dir/text.h5" >"$dir/half.h5"
    on_some_ranks 1 'half.h5.*ropewalk data build' "half a dataset" \
        "${text[@]}" --set "data.dataset=$dir/half.h5"
    refused 1 1 'half.h5.*ropewalk data build' "info of half a dataset" data info "$dir/half.h5"
    refused 1 1 'half.h5.*ropewalk data build' "verify of it" data verify "$dir/half.h5"
    on_some_ranks 1 'text.txt.*ropewalk data build' "a text as dataset" \
        "${text[@]}" --set "data.dataset=$dir/text.txt"
    cp "$dir/text.h5" "$dir/flipped.h5"
    printf '\377' | dd of="$dir/flipped.h5" bs=1 seek=75 conv=notrunc 2>/dev/null
    on_some_ranks 1 'flipped.h5 is damaged.*ropewalk data build' "a dataset with a flipped bit" \
        "${text[@]}" --set "data.dataset=$dir/flipped.h5"
    run data build "$dir/val.h5" "$dir/text.txt" --heldout 1
    expect_exit 0 "data build of a file for evaluation"
    on_some_ranks 1 'val.h5 has no training tokens.*--heldout' "training on what is held out" \
        "${text[@]}" --set "data.dataset=$dir/val.h5"
    on_some_ranks 2 'longer than.*smaller length' "sequences longer than the data" \
        "${text[@]}" --set data.length=100000000
    : >"$dir/empty.txt"
    refused 1 1 'no tokens.*empty.txt' "an empty input" data build "$dir/empty.h5" "$dir/empty.txt"
    refused 1 1 'absent.txt.*check' "no input" data build "$dir/empty.h5" "$dir/absent.txt"
    [[ ! -e $dir/empty.h5 ]] || fail "a dataset of nothing is left"
}

other_vocabulary() {
    on_some_ranks 1 'another vocabulary.*--run-dir' "resuming on data of another vocabulary" \
        train "$dir/text.yaml" --run-dir "$dir/run" --set train.steps=4 \
        --set "data.dataset=$dir/genome.h5"
    on_some_ranks 1 'vocabulary' "evaluating on data of another vocabulary" \
        eval "$dir/run" --data "$dir/genome.h5"
    refused 1 1 'vocabulary' "generating on data of another vocabulary" \
        generate "$dir/run" -p A --data "$dir/genome.h5"
}

wrong_checkpoints() {
    on_some_ranks 1 'another model.*--run-dir' "a checkpoint of another model" \
        train "$dir/text.yaml" --run-dir "$dir/run" --set train.steps=4 --set model.width=24
    on_some_ranks 1 'absent' "--resume of nothing" \
        train "$dir/good.yaml" --run-dir "$dir/none" --resume "$dir/absent"
    on_some_ranks 1 'no checkpoint|absent' "eval of nothing" eval "$dir/absent"
    mkdir "$dir/hollow"
    on_some_ranks 1 'hollow' "eval of an empty folder" eval "$dir/hollow"
    refused 1 1 'absent' "generate from nothing" generate "$dir/absent"
    refused 1 1 'absent' "digest of nothing" checkpoint digest "$dir/absent"
    refused 1 1 'absent' "report of nothing" report "$dir/absent"
}

unwritable_folders() {
    local good=(train "$dir/good.yaml")
    : >"$dir/file"
    on_some_ranks 1 'file.*(--run-dir|check the path)' "a file as run folder" "${good[@]}" --run-dir "$dir/file"
    on_some_ranks 1 'file.*(--run-dir|check the path)' "a run folder below a file" \
        "${good[@]}" --run-dir "$dir/file/run"
    on_some_ranks 1 '/proc.*(--run-dir|check the path)' "a run folder that cannot be made" \
        "${good[@]}" --run-dir /proc/ropewalk
    refused 1 1 'file/x.h5' "a dataset below a file" data build "$dir/file/x.h5" "$dir/text.txt"
    refused 1 1 'file/x.h5' "an export below a file" \
        checkpoint export "$dir/run" "$dir/file/x.h5"
}

# ---- No space ----

# In a file system of its own where the kernel lets us make one, else with a
# limit on the size of files: what is written must be refused in the middle.
# The command is the rest of the script's arguments.
cat >"$dir/small" <<'END'
#!/bin/bash
full=$1
shift
if [[ $full == mount ]]; then
    mount -t tmpfs -o size=256k none "$SMALL" || exit 99
else
    trap '' XFSZ
    ulimit -f 128
fi
"$@"
code=$?
find "$SMALL" -mindepth 1 -printf '%P
' >"$LEFT"
exit $code
END
chmod +x "$dir/small"
mkdir "$dir/space"
export SMALL=$dir/space LEFT=$dir/left

find_small() {
    small=("$dir/small" limit)
    unshare -rm "$dir/small" mount true 2>"$dir/err" && small=(unshare -rm "$dir/small" mount)
    unshare -m "$dir/small" mount true 2>"$dir/err" && small=(unshare -m "$dir/small" mount)
}

# no_space PATTERN WHAT COMMAND...: ends with 1 and one message.
no_space() {
    local pattern=$1 what=$2
    shift 2
    rm -rf "${dir:?}/space"/*
    timeout -k 5 "$limit" "${small[@]}" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    code=$?
    expect_exit 1 "$what"
    [[ $(said | grep -c '^ropewalk: error: ') == 1 ]] || fail "$what: not exactly one message"
    said | grep -E '^ropewalk: error: ' | grep -qE -- "$pattern" ||
        fail "$what: the message does not say '$pattern'"
}

without_space() {
    local train=("$program" train "$dir/good.yaml" --run-dir "$dir/space/run" --threads 1)
    local full='No space left|File too large'
    find_small
    no_space "$full" "a checkpoint without space" "${train[@]}" --set model.width=128
    grep -qE 'checkpoints/(step-[0-9]+$|latest)' "$dir/left" && fail "half a checkpoint is left"
    if [[ ${small[-1]} == mount ]]; then # a limit would hit the files of MPI itself
        no_space "$full" "a checkpoint without space on 2 ranks" \
            mpirun -n 2 "${mpirun_options[@]}" "${train[@]}" --set model.width=128
        grep -qE 'checkpoints/(step-[0-9]+$|latest)' "$dir/left" && fail "half a checkpoint is left"
    fi
    head -c 600000 /dev/urandom >"$dir/noise.txt"
    no_space "$full" "a dataset without space" \
        "$program" data build "$dir/space/x.h5" "$dir/noise.txt" --format bytes
    grep -qx 'x.h5' "$dir/left" && fail "half a dataset is left"
    run train "$dir/good.yaml" --run-dir "$dir/wide" --set model.width=128
    expect_exit 0 "training a wider model"
    no_space "$full" "an export without space" \
        "$program" checkpoint export "$dir/wide" "$dir/space/x.h5"
    grep -qx 'x.h5' "$dir/left" && fail "half an export is left"
}

# Where a limit leaves no room for OpenBLAS's buffers, it would try for them forever.
without_memory() {
    local kib refusals=0
    for kib in 150000 200000 230000 250000 270000 350000 450000 550000; do
        (
            ulimit -d "$kib" && run train "$dir/good.yaml" --run-dir "$dir/room-$kib" --threads 2
            exit "$code"
        )
        code=$?
        [[ $code == [01] ]] || fail "training with $kib KiB of data ended with $code"
        said | grep -qE 'out of memory: .*OpenBLAS needs .* ulimit' && refusals=$((refusals + 1))
    done
    ((refusals > 0)) || fail "no limit was too low for OpenBLAS's buffers"
    ((code == 0)) || fail "training with 550,000 KiB of data did not end well"
}

make_data
wrong_commands
wrong_options
wrong_configurations
commands_of_terminals
too_large
wrong_layouts
wrong_data
other_vocabulary
wrong_checkpoints
unwritable_folders
without_space
without_memory
passed
