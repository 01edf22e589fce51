#!/bin/bash
# docs/config.md is what `ropewalk config --markdown` prints; `ropewalk config` explains keys; the
# completion for bash knows commands, options and keys.
# shellcheck source=tests/program.sh
. "$(dirname "$0")/program.sh"

page() {
    run config --markdown
    expect_exit 0 "config --markdown"
    diff "$top/docs/config.md" "$dir/out" >"$dir/difference" ||
        fail "docs/config.md is not what the program prints; run ropewalk config --markdown >docs/config.md: $(head -n 5 "$dir/difference")"
}

explains() {
    local name
    run config
    expect_exit 0 "config"
    for name in 'optimizer: ' 'optimizer, adamw: ' 'model.blocks, ssd: ' 'data.task, mqar: ' 'model.blocks, swiglu: '; do
        expect_line "$dir/out" "^$name" "config"
    done
    for name in optimizer.lr lr; do
        run config $name
        expect_exit 0 "config $name"
        expect_line "$dir/out" '^optimizer\.lr$' "config $name"
        [[ $(wc -l <"$dir/out") == 2 ]] || fail "config $name: says more than lr"
    done
    run config ssd
    expect_exit 0 "config ssd"
    expect_line "$dir/out" '^ +heads +integer' "config ssd"
    grep -q averages "$dir/out" && fail "config ssd: shows the keys of another mixer"
    run config optimzer
    expect_exit 2 "config optimzer"
    expect_line "$dir/err" 'did you mean optimizer' "config optimzer"
    run config --markdown lr
    expect_exit 2 "config --markdown lr"
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
