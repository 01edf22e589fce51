#!/bin/bash
# Whose files are whose, and how training ends: one writer a folder, files that ropewalk did not
# write, links and pipes in the place of files, signals, full disks, closed pipes.
# shellcheck source=tests/program.sh
. "$(dirname "$0")/program.sh"
limit=60

cat >"$dir/good.yaml" <<'END1'
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
checkpoint: {every: 1}
eval: {every: 0, batches: 1}
END1
# One step lasts seconds, in many micro-batches: a signal always meets it.
long=(--set data.batch=48 --set train.accumulate=48 --set data.length=20000 --set train.steps=3)

train() { run train "$dir/good.yaml" --run-dir "$dir/$1" --threads 1 "${@:2}"; }

# start RUN [ARGUMENT...]: training in the background; its process is $process.
start() {
    local folder=$1
    shift
    : >"$dir/err"
    "$program" train "$dir/good.yaml" --run-dir "$dir/$folder" --threads 1 "$@" \
        >"$dir/out" 2>"$dir/err" </dev/null &
    process=$!
    wait_until has_begun
}
has_begun() { grep -qE '^(run folder:|resuming)' "$dir/err"; }

# wait_until COMMAND...: until it succeeds, or the background process is gone.
wait_until() {
    local times=0
    until "$@"; do
        ((++times < 3000)) || fail "'$*' did not come true within a minute"
        kill -0 "$process" 2>/dev/null || fail "training ended before '$*'"
        sleep 0.02
    done
}

ended() { # CODE WHAT: of the background process
    wait "$process"
    code=$?
    expect_exit "$1" "$2"
}

expect_message() { expect_line "$dir/err" "$1" "$2"; }
expect_no() { [[ ! -e $1 && ! -L $1 ]] || fail "$2: $1 is there"; }
has_checkpoint() { [[ -d $dir/$1/checkpoints/$(printf 'step-%08d' "$2") ]] || fail "$3: no step $2"; }

# ---- Two writers ----

two_writers() {
    start busy "${long[@]}" --set train.steps=300
    [[ $(sed -n 's/^process: //p' "$dir/busy/train.lock") == "$process" ]] ||
        fail "train.lock does not name the process"
    cp "$dir/busy/metrics.jsonl" "$dir/metrics.before"
    for ranks in 1 2; do
        run_ranks "$ranks" train "$dir/good.yaml" --run-dir "$dir/busy" --threads 1
        expect_exit 1 "a second writer on $ranks ranks"
        expect_message "busy is being written by process $process on host .* since .*--run-dir" \
            "a second writer"
        [[ $(grep -c 'being written' "$dir/err") == 1 ]] || fail "a second writer is told twice"
    done
    # The first one may have gone on meanwhile.
    cmp -s -n "$(wc -c <"$dir/metrics.before")" "$dir/metrics.before" "$dir/busy/metrics.jsonl" ||
        fail "a second writer changed metrics"
    [[ $(grep -c '"event":"\(start\|resumed\)"' "$dir/busy/metrics.jsonl") == 1 ]] ||
        fail "a second writer began in metrics"
    run report "$dir/busy"
    expect_exit 0 "a report of a run that goes on"
    kill -KILL "$process"
    wait "$process" 2>/dev/null
    [[ -s $dir/busy/train.lock ]] || fail "a killed run left no lock"
    : >"$dir/busy/config.yaml.tmp.999999999"
    : >"$dir/busy/metrics.jsonl.tmp.$process"
    : >"$dir/busy/report.html.tmp.$$"
    : >"$dir/busy/report.html.tmp.note"
    train busy
    expect_exit 0 "after a killed run"
    expect_message "^warning: taking over .*busy from process $process .*has ended" "a dead writer"
    expect_no "$dir/busy/train.lock" "the end of training"
    expect_no "$dir/busy/config.yaml.tmp.999999999" "what dead processes left"
    expect_no "$dir/busy/metrics.jsonl.tmp.$process" "what dead processes left"
    [[ -e $dir/busy/report.html.tmp.$$ ]] || fail "a living process's file was removed"
    [[ -e $dir/busy/report.html.tmp.note ]] || fail "a file that only looks like one was removed"
}

# lock HOST BOOT JOB ATTEMPT PERIOD: as another process would have left it.
lock() {
    printf '%s\n' 'ropewalk lock' "host: $1" 'process: 1' 'started: 1' "boot: $2" 'space: x' \
        "job: $3" "attempt: $4" 'since: 2026-01-01 00:00:00 UTC' "period: $5" \
        'id: 0123456789abcdef' 'beat: 0000000000'
}

other_hosts() {
    local boot
    boot=$(cat /proc/sys/kernel/random/boot_id)
    mkdir "$dir/far"
    lock elsewhere other /7 0 0.2 >"$dir/far/train.lock"
    train far
    expect_exit 0 "a lock without a sign of life"
    expect_message 'locked by process 1 on host elsewhere .job 7, attempt 1.*sign of life' "a far lock"
    expect_message 'taking over .*gave no sign of life' "a far lock"
    lock elsewhere other /7 0 60 >"$dir/far/train.lock"
    SLURM_JOB_ID=7 SLURM_RESTART_COUNT=1 train far
    expect_exit 0 "a requeued job"
    expect_message 'taking over .*requeued' "a requeued job"
    lock "$(uname -n)" other - 0 60 >"$dir/far/train.lock"
    train far
    expect_exit 0 "a host that was started again"
    expect_message 'taking over .*started again' "a host that was started again"
    lock elsewhere "$boot" - 0 20 >"$dir/far/train.lock"
    (for ((i = 1; i < 500; i++)); do
        sed "s/^beat: .*/beat: $i/" "$dir/far/train.lock" >"$dir/beat" && cat "$dir/beat" >"$dir/far/train.lock"
        sleep 0.05
    done) &
    local beats=$!
    train far
    kill "$beats"
    wait "$beats" 2>/dev/null
    expect_exit 1 "a lock that counts on"
    expect_message 'far is being written by process 1 on host elsewhere' "a lock that counts on"
    echo 'my notes' >"$dir/far/train.lock"
    train far
    expect_exit 1 "a file with the name of a lock"
    expect_message 'train.lock is no lock of ropewalk' "a file with the name of a lock"
    grep -qx 'my notes' "$dir/far/train.lock" || fail "a file with the name of a lock was replaced"
    rm "$dir/far/train.lock"
}

# Another process has taken over: the first one, which was only cut off, stops before it writes.
lost_lock() {
    start lost "${long[@]}"
    lock thief other - 0 20 >"$dir/thief"
    mv "$dir/thief" "$dir/lost/train.lock"
    kill -USR1 "$process"
    ended 1 "a lock that was taken over"
    expect_message 'error: .*lost was taken over by process 1 on host thief' "a lock that was taken over"
    grep -qx 'host: thief' "$dir/lost/train.lock" || fail "another's lock was removed"
    [[ -z $(ls "$dir/lost/checkpoints") ]] || fail "a checkpoint was written without the lock"
}

# ---- Files of others ----

foreign() { # FILE TEXT: refused, and untouched; replaced with --force
    mkdir -p "$dir/foreign"
    printf '%s\n' "$2" >"$dir/foreign/$1"
    train foreign
    expect_exit 1 "a foreign $1"
    expect_message "foreign/$1 was not written by ropewalk.*--force" "a foreign $1"
    [[ $(cat "$dir/foreign/$1") == "$2" ]] || fail "a foreign $1 was changed"
    [[ $(ls "$dir/foreign") == "$1" ]] || fail "something is left beside a foreign $1"
    train foreign --force
    expect_exit 0 "--force over a foreign $1"
    train foreign --set train.steps=3
    expect_exit 0 "a run of ropewalk, continued"
    rm -rf "$dir/foreign"
}

foreign_folders() {
    foreign config.yaml 'lr: 1 # mine'
    foreign metrics.jsonl '{"epoch":1,"loss":2}'
    foreign report.html '<html>mine</html>'
    foreign log.txt 'epoch 1'
    mkdir "$dir/own"
    cp "$dir/good.yaml" "$dir/own/config.yaml"
    (cd "$dir/own" && run train config.yaml --run-dir . && exit "$code")
    code=$?
    expect_exit 1 "a run folder whose config.yaml is the input"
    cmp -s "$dir/good.yaml" "$dir/own/config.yaml" || fail "an input was replaced"
    mv "$dir/own/config.yaml" "$dir/own/mine.yaml"
    run train "$dir/good.yaml" --run-dir "$dir/whole" --threads 1
    expect_exit 0 "a run"
    for place in checkpoints checkpoints/latest-step; do
        [[ $place == checkpoints ]] || place=checkpoints/$(cat "$dir/whole/checkpoints/latest")
        run train "$dir/good.yaml" --run-dir "$dir/whole/$place" --force
        expect_exit 1 "a run in a folder of checkpoints"
        expect_line "$dir/err" 'holds checkpoints .*no run folder' "a run in $place"
        [[ ! -e $dir/whole/$place/metrics.jsonl ]] || fail "a run was begun in $place"
    done
    echo notes >"$dir/own/notes.txt"
    (cd "$dir/own" && run train mine.yaml --run-dir . --threads 1 && exit "$code")
    code=$?
    expect_exit 0 "--run-dir . without a clash"
    grep -qx notes "$dir/own/notes.txt" || fail "a file of others was changed"
    run report "$dir/own"
    expect_exit 0 "report"
    echo '<html>mine</html>' >"$dir/own/report.html"
    run report "$dir/own"
    expect_exit 1 "report over a foreign file"
    expect_message 'report.html was not written by ropewalk.*--force' "report over a foreign file"
    run report --force "$dir/own"
    expect_exit 0 "report --force"
}

builds() {
    seq 100 >"$dir/text.txt"
    : >"$dir/text.h5.tmp.999999999"
    mkfifo "$dir/slow"
    "$program" data build "$dir/text.h5" "$dir/text.txt" --format text "$dir/slow" \
        >"$dir/out" 2>"$dir/err.slow" </dev/null &
    process=$!
    exec 9>"$dir/slow"
    echo text >&9
    wait_until test -s "$dir/text.h5.lock"
    run data build "$dir/text.h5" "$dir/text.txt"
    expect_exit 1 "a second build"
    expect_message "text.h5 is being written by process $process on host" "a second build"
    kill -KILL "$process"
    wait "$process" 2>/dev/null
    exec 9>&-
    run data build "$dir/text.h5" "$dir/text.txt"
    expect_exit 0 "a build after a dead one"
    expect_message 'taking over .*text.h5 from process' "a build after a dead one"
    [[ $(cd "$dir" && echo text.h5*) == text.h5 ]] || fail "a build leaves $(cd "$dir" && echo text.h5*)"
    # One that is ended by a signal leaves no part of a dataset.
    "$program" data build "$dir/ended.h5" "$dir/text.txt" --format text "$dir/slow" \
        >"$dir/out" 2>"$dir/err.slow" </dev/null &
    process=$!
    exec 9>"$dir/slow"
    seq 60000 >&9 # more than is read to tell the format
    wait_until compgen -G "$dir/ended.h5.partial.*"
    kill -TERM "$process"
    wait "$process"
    [[ $? == 143 ]] || fail "a build that was ended by SIGTERM: exit code $?"
    exec 9>&-
    [[ $(cd "$dir" && echo ended.h5*) == ended.h5.lock ]] || fail "an ended build leaves $(cd "$dir" && echo ended.h5*)"
    rm "$dir/slow"
}

exports() {
    run checkpoint export "$dir/own" "$dir/w.h5"
    expect_exit 0 "export"
    run checkpoint export "$dir/own" "$dir/w.h5"
    expect_exit 0 "export over an export"
    echo mine >"$dir/mine"
    run checkpoint export "$dir/own" "$dir/mine"
    expect_exit 1 "export over a foreign file"
    expect_message 'mine is no export of ropewalk.*--force' "export over a foreign file"
    grep -qx mine "$dir/mine" || fail "export replaced a foreign file"
    run checkpoint export --force "$dir/own" "$dir/mine"
    expect_exit 0 "export --force"
    for file in data-0.h5 index.h5 manifest.json; do
        run checkpoint export --force "$dir/own" "$dir/own/checkpoints/step-00000002/$file"
        expect_exit 1 "export over $file"
        expect_message 'a file of the checkpoint itself' "export over $file"
    done
    run checkpoint verify "$dir/own"
    expect_exit 0 "the checkpoint after that"
    ln -s mine "$dir/link.h5"
    run checkpoint export --force "$dir/own" "$dir/link.h5"
    expect_exit 1 "export over a link"
    lock elsewhere other - 0 0.1 >"$dir/w.h5.lock"
    : >"$dir/w.h5.tmp.999999999"
    run checkpoint export "$dir/own" "$dir/w.h5"
    expect_exit 0 "export after a dead one"
    expect_no "$dir/w.h5.lock" "export"
    expect_no "$dir/w.h5.tmp.999999999" "export"
    echo '{"mine": 1}' >"$dir/bench.json"
    run bench primitives --length 64 --json "$dir/bench.json"
    expect_exit 1 "bench --json over a foreign file"
    expect_message 'bench.json is no record of ropewalk bench.*--force' "bench --json"
    grep -q mine "$dir/bench.json" || fail "bench replaced a foreign file"
}

# ---- Links and pipes ----

links() {
    mkdir -p "$dir/moved" "$dir/outside"
    train linked --set train.steps=4 --set checkpoint.keep=2 --stop-at 2
    expect_exit 0 "training"
    mv "$dir/linked/checkpoints/step-00000001" "$dir/moved/"
    ln -s "$dir/moved/step-00000001" "$dir/linked/checkpoints/step-00000001"
    echo precious >"$dir/outside/data-0.h5"
    ln -s "$dir/outside" "$dir/linked/checkpoints/step-00000009.tmp.999999999"
    mkdir "$dir/linked/checkpoints/step-00000000"
    echo notes >"$dir/linked/checkpoints/step-00000000/notes.txt"
    train linked --set train.steps=4 --set checkpoint.keep=2
    expect_exit 0 "training with links"
    run checkpoint verify "$dir/moved/step-00000001"
    expect_exit 0 "a checkpoint that its owner moved"
    expect_no "$dir/linked/checkpoints/step-00000001" "an old checkpoint that is a link"
    expect_line "$dir/linked/log.txt" "step-00000001 was a link: .*stays in $dir/moved" "a link"
    grep -qx precious "$dir/outside/data-0.h5" || fail "a link was followed"
    expect_no "$dir/linked/checkpoints/step-00000009.tmp.999999999" "a link named like a leftover"
    grep -qx notes "$dir/linked/checkpoints/step-00000000/notes.txt" ||
        fail "a folder that ropewalk did not write was removed"
    mkdir "$dir/linkedlog"
    echo mine >"$dir/mine.log"
    ln -s "$dir/mine.log" "$dir/linkedlog/log.txt"
    train linkedlog
    expect_exit 0 "a log that is a link"
    expect_message '^warning: no log in .*linkedlog/log.txt: it is a link' "a log that is a link"
    [[ $(cat "$dir/mine.log") == mine ]] || fail "a log was written through a link"
}

# Nobody writes to these: to wait for somebody would be for ever.
pipes() {
    limit=30
    mkfifo "$dir/pipe"
    run train "$dir/pipe" --run-dir "$dir/none"
    expect_exit 2 "a pipe as configuration"
    expect_message 'it is a pipe, and nothing comes' "a pipe as configuration"
    run train <(cat "$dir/good.yaml") --run-dir "$dir/substituted" --threads 1
    expect_exit 0 "a configuration through a pipe that speaks"
    sed 's|task: .*|dataset: '"$dir/pipe"'|' "$dir/good.yaml" >"$dir/piped.yaml"
    run train "$dir/piped.yaml" --run-dir "$dir/none"
    expect_exit 1 "a pipe as dataset"
    run data info "$dir/pipe"
    expect_exit 1 "data info of a pipe"
    train piped
    for file in manifest.json data-0.h5; do
        cp -r "$dir/piped" "$dir/piped.$file"
        rm "$dir/piped.$file/checkpoints/step-00000002/$file"
        mkfifo "$dir/piped.$file/checkpoints/step-00000002/$file"
        run checkpoint verify "$dir/piped.$file"
        expect_exit 1 "a pipe as $file"
        run eval "$dir/piped.$file/checkpoints/step-00000002"
        expect_exit 1 "eval of a pipe as $file"
        train "piped.$file" --set train.steps=3
        expect_exit 0 "training from the step before a pipe as $file"
    done
    rm "$dir/piped/metrics.jsonl" "$dir/piped/log.txt"
    mkfifo "$dir/piped/metrics.jsonl" "$dir/piped/log.txt"
    run report "$dir/piped"
    expect_exit 1 "report of a pipe"
    train piped --set train.steps=3
    expect_exit 1 "a pipe as metrics.jsonl"
    train piped --set train.steps=3 --force
    expect_exit 0 "--force over a pipe"
    expect_message '^warning: no log in .*log.txt: it is a link or a pipe' "a pipe as log"
    expect_no "$dir/none" "what was refused"
    limit=60
}

# ---- Ends ----

signals() {
    for signal in INT HUP XCPU TERM USR1; do
        start "signal-$signal" "${long[@]}"
        kill "-$signal" "$process"
        ended 75 "SIG$signal"
        expect_message 'stopped by a signal after step 0 of 3' "SIG$signal"
        has_checkpoint "signal-$signal" 0 "SIG$signal"
        expect_no "$dir/signal-$signal/train.lock" "SIG$signal"
    done
    trap '' HUP
    start nohup "${long[@]}" --set data.length=64
    trap - HUP
    kill -HUP "$process"
    ended 0 "SIGHUP under nohup"
    # A step that cannot be given up: the second SIGINT comes while it lasts.
    start twice "${long[@]}" --set train.accumulate=1
    kill -INT "$process"
    wait_until grep -qE '^ShdPnd:.*[014589cd]$' "/proc/$process/status"
    kill -INT "$process"
    ended 130 "a second SIGINT"
    expect_no "$dir/twice/train.lock" "a second SIGINT"
}

# The step that was given up is as if it had not been begun.
given_up() {
    local step=(--set data.length=5000 --set data.batch=48 --set train.steps=1)
    start parts "${step[@]}" --set train.accumulate=48
    kill -TERM "$process"
    ended 75 "SIGTERM within a step"
    has_checkpoint parts 0 "SIGTERM within a step"
    train parts "${step[@]}"
    expect_exit 0 "the step that was given up"
    train straight "${step[@]}"
    expect_exit 0 "the step without a signal"
    expect_same "$dir/straight" "$dir/parts"
}

# A limit on the size of files is a disk that is full: no signal ends the training.
limited_files() {
    (
        ulimit -f 4
        run train "$dir/good.yaml" --run-dir "$dir/limited" --threads 1 --set train.steps=40 \
            --set checkpoint.every=0
        exit "$code"
    )
    code=$?
    expect_exit 1 "a limit on the size of files"
    expect_message '^warning: cannot write .*metrics.jsonl: File too large' "a limit on files"
    expect_message '^ropewalk: error: cannot write .*File too large' "a limit on files"
    expect_no "$dir/limited/train.lock" "a limit on files"
}

closed_pipe() {
    { "$program" train "$dir/good.yaml" --run-dir "$dir/closed" --threads 1 2>&1 && : >"$dir/fine"; } |
        head -n 1 >"$dir/out"
    [[ -e $dir/fine ]] || fail "a closed pipe ended the training"
    has_checkpoint closed 2 "a closed pipe"
    expect_line "$dir/closed/log.txt" '^done: 2 steps' "a closed pipe"
}

# A report that cannot be written is no failure; a folder in its place cannot be replaced.
no_report() {
    train unreported --stop-at 1
    rm "$dir/unreported/report.html"
    start unreported --set train.steps=3 --set data.length=20000
    mkdir "$dir/unreported/report.html"
    ended 0 "no report"
    expect_message '^warning: no report: .*ropewalk report .*unreported' "no report"
    has_checkpoint unreported 3 "no report"
}

# terminal TERM COLUMNS: training on a terminal of its own; what it shows is in $dir/shown.
terminal() {
    TERM=$1 timeout -k 5 "$limit" script -qec "stty cols $2; exec '$program' train '$dir/good.yaml' \
        --run-dir '$dir/terminal' --threads 1 --resume never --set train.steps=100 --set checkpoint.every=0" /dev/null \
        >"$dir/shown" </dev/null
    code=$?
    expect_exit 0 "training on a terminal ($1, $2 columns)"
}

# Pieces of the progress line, each after a line that is cleared; the last one is kept whole.
pieces() { tr "\r" "\n" <"$dir/shown" | sed -nE "s|^\x1b\[K(step [0-9]+/.*)|\1|p" | head -n -1; }

terminals() {
    command -v script >/dev/null || return 0
    terminal xterm 24
    [[ $(pieces | wc -l) -gt 0 ]] || fail "no progress line on a terminal"
    [[ $(pieces | wc -L) == 23 ]] || fail "a progress line of $(pieces | wc -L) in 24 columns"
    terminal xterm 200
    pieces | grep -qE 'tokens/s  .* left$' || fail "the progress line is cut in 200 columns"
    terminal xterm 0
    [[ $(pieces | wc -L) -lt 80 ]] || fail "a progress line of $(pieces | wc -L) in 80 columns"
    terminal dumb 80
    grep -q $'\x1b' "$dir/shown" && fail "TERM=dumb gets escape sequences"
    grep -q '^step 100/100' "$dir/shown" || fail "TERM=dumb: no progress"
}

# ---- mpirun ----

on_ranks() {
    : >"$dir/err"
    mpirun -n 2 "${mpirun_options[@]}" "$program" train "$dir/good.yaml" \
        --run-dir "$dir/ranks" --threads 1 "${long[@]}" --set data.batch=96 \
        >"$dir/out" 2>"$dir/err" </dev/null &
    process=$!
    wait_until has_begun
    kill -USR1 "$process"
    ended 75 "USR1 to mpirun"
    has_checkpoint ranks 0 "USR1 to mpirun"
    expect_no "$dir/ranks/train.lock" "USR1 to mpirun"
    # No time at all, or more than enough: that it is too short is told once.
    for grace in 0 100; do
        OMPI_MCA_odls_base_sigkill_timeout=$grace run_ranks 2 train "$dir/good.yaml" \
            --run-dir "$dir/grace$grace" --threads 1 --set train.steps=3
        expect_exit 0 "steps under mpirun"
    done
    [[ $(grep -c 'mpirun kills' "$dir/grace0/log.txt") == 1 ]] || fail "no time to save is not told once"
    grep 'mpirun kills' "$dir/grace100/log.txt" && fail "time enough is told about"
    run_ranks 2 train "$dir/good.yaml" --run-dir "$dir/grace0" --threads 1 --set train.steps=4
    expect_exit 0 "two ranks, continued"
}

# A disk that is full for a while under a run that goes on.
cat >"$dir/full" <<'END2'
#!/bin/bash
# full FOLDER PROGRAM CONFIG: with a small file system on FOLDER.
mount -t tmpfs -o size=400k none "$1" || exit 99
[[ ${2-} ]] || exit 0
said() { grep -qE "$1" "$ERR"; }
until_said() { until said "$1"; do kill -0 "$run" || exit 98; sleep 0.02; done; }
"$2" train "$3" --run-dir "$1/run" --threads 1 --set train.steps=10000000 \
    --set checkpoint.every=0 2>"$ERR" &
run=$!
until_said '^run folder:'
cat /dev/zero >"$1/big" 2>"$ERR.cat"
until_said '^warning: cannot write .*metrics.jsonl: No space left.*training goes on'
until_said '^warning: no checkpoint at step [0-9]+: .*No space left'
rm "$1/big"
until [[ -e $1/run/checkpoints/latest ]]; do kill -0 "$run" || exit 97; sleep 0.02; done
kill -TERM "$run"
wait "$run"
code=$?
grep -cvE '^\{.*\}$' "$1/run/metrics.jsonl" >"$ERR.torn"
exit $code
END2
chmod +x "$dir/full"

full_disk() {
    local private=()
    mkdir "$dir/space"
    unshare -rm "$dir/full" "$dir/space" 2>"$dir/err" && private=(unshare -rm)
    unshare -m "$dir/full" "$dir/space" 2>"$dir/err" && private=(unshare -m)
    ((${#private[@]})) || return 0
    ERR=$dir/err timeout -k 5 "$limit" "${private[@]}" "$dir/full" "$dir/space" "$program" \
        "$dir/good.yaml" >"$dir/out" 2>"$dir/full.err"
    code=$?
    expect_exit 75 "a full disk"
    [[ $(cat "$dir/err.torn") == 0 ]] || fail "a full disk left parts of lines"
    [[ $(grep -c 'cannot write .*metrics.jsonl' "$dir/err") == 1 ]] || fail "told more than once"
    expect_message '^warning: .*metrics.jsonl lacks [0-9]+ lines?, which' "a full disk"
}

two_writers
other_hosts
lost_lock
foreign_folders
builds
exports
links
pipes
signals
on_ranks
given_up
limited_files
closed_pipe
no_report
terminals
full_disk
passed
