#!/bin/bash
# docs/config.md is what `ropewalk config --markdown` prints; `ropewalk config` explains keys; the
# completion for bash knows commands, options and keys.
# shellcheck source=tests/program.sh
. "$(dirname "$0")/program.sh"

page() {
    local word
    run config --markdown
    expect_exit 0 "config --markdown"
    diff "$top/docs/config.md" "$dir/out" >"$dir/difference" ||
        fail "docs/config.md is not what the program prints; run ropewalk config --markdown >docs/config.md: $(head -n 5 "$dir/difference")"
    grep -E '^\|[^|]*\|[^|]*\|[^|]*\| \|$' "$dir/out" >"$dir/rows" && fail "a key without a meaning: $(head -n 1 "$dir/rows")"
    for word in optimizer.name=adamw schedule.name=constant model.norm=layer model.objective=auto; do
        run config "${word%=*}"
        expect_line "$dir/out" "[ |]${word#*=}[ |]" "choices of ${word%=*}"
    done
}

explains() {
    local word
    run config
    expect_exit 0 "config"
    for word in 'optimizer: ' 'optimizer, adamw: ' 'model.blocks, ssd: ' 'data.task, mqar: ' 'model.blocks, swiglu: '; do
        expect_line "$dir/out" "^$word" "config"
    done
    for word in optimizer.lr lr; do
        run config $word
        expect_exit 0 "config $word"
        expect_line "$dir/out" '^optimizer\.lr$' "config $word"
        [[ $(wc -l <"$dir/out") == 2 ]] || fail "config $word: says more than lr"
    done
    run config ssd
    expect_exit 0 "config ssd"
    expect_line "$dir/out" '^ +heads +integer' "config ssd"
    grep -q averages "$dir/out" && fail "config ssd: shows the keys of another mixer"
    for word in ssd.heads model.blocks.ssd.heads model.blocks.0.ssd.heads; do
        run config $word
        expect_exit 0 "config $word"
        expect_line "$dir/out" '^model\.blocks\.N\.heads \(ssd\)$' "config $word"
        [[ $(wc -l <"$dir/out") == 2 ]] || fail "config $word: says more than heads"
    done
    run config model.blocks.0.state
    expect_exit 0 "config model.blocks.0.state"
    expect_line "$dir/out" '\(s4d\)$' "config model.blocks.0.state"
    run config data.task.name
    expect_line "$dir/out" 'mqar' "config data.task.name"
    misses optimzer optimizer
    misses optimzer.lr optimizer.lr
    misses ssd.haeds ssd.heads
    misses model.blocks.3.stat model.blocks.state
    misses optimizer. optimizer
    run config xyzzyqwe
    expect_exit 2 "config xyzzyqwe"
    grep -q 'did you mean' "$dir/err" && fail "config xyzzyqwe: something is near"
    run config ''
    expect_exit 2 "config of an empty name"
    expect_line "$dir/err" "choice ''" "config of an empty name"
    run config --markdown lr
    expect_exit 2 "config --markdown lr"
}

# misses NAME NEAREST: an error that names the nearest.
misses() {
    run config "$1"
    expect_exit 2 "config $1"
    [[ $(wc -l <"$dir/err") == 1 ]] || fail "config $1: more than one line"
    expect_line "$dir/err" "did you mean $2\?" "config $1"
}

# completes WORDS... : the completions of the last word.
completes() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _ropewalk
    printf '%s\n' "${COMPREPLY[@]}" >"$dir/out"
}

completion() {
    "$top/build-aux/make-completion" "$program" >"$dir/completion"
    # shellcheck source=/dev/null
    . "$dir/completion"
    completes "$program" tr
    expect_line "$dir/out" '^train$' "completion of a command"
    completes "$program" train --re
    expect_line "$dir/out" '^--resume$' "completion of an option"
    completes "$program" train --set optimizer.l
    expect_line "$dir/out" '^optimizer\.lr=$' "completion of a key"
    completes "$program" mixers ss
    expect_line "$dir/out" '^ssd$' "completion of a mixer"
}

page
explains
completion
passed
