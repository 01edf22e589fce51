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
        fail "docs/config.md is not what the program prints; run make update-config-page, or ropewalk config --markdown >docs/config.md: $(head -n 5 "$dir/difference")"
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

# ropewalk-config(5) has all keys, and no marks of Markdown.
manual() {
    local word
    "$top/build-aux/make-config-man" "$program" >"$dir/page.5"
    for word in '\.SH "OPTIMIZER"' '\.SS "Tasks"' '\\fBlr\\fR \(real 0 \.\. 1000000; default 1\.0e\\-3\)' \
        '\\fBlength\\fR \(integer 1 .* required\)' '\\fBSignals\.\\fR SIGTERM' '\\fBmetrics\.jsonl\\fR$'; do
        expect_line "$dir/page.5" "^$word" "ropewalk-config(5)"
    done
    grep -E '`|\*\*|^\||\]\(|^#' "$dir/page.5" >"$dir/rows" && fail "ropewalk-config(5): Markdown: $(head -n 1 "$dir/rows")"
    if command -v groff >/dev/null; then
        groff -man -ww -Tascii "$dir/page.5" 2>&1 >/dev/null | grep -v "can't break line\|cannot \(break\|adjust\) line" >"$dir/err"
        [[ ! -s $dir/err ]] || fail "ropewalk-config(5): groff warns"
    fi
    "$top/build-aux/make-config-man" false >"$dir/page.5"
    expect_line "$dir/page.5" 'ropewalk config .*markdown' "ropewalk-config(5) without a program"
}

# completes EXPECTED WORD...: the completions of the last word, as words with spaces between them.
completes() {
    local expected=$1
    shift
    COMP_WORDS=(ropewalk "$@") COMP_CWORD=$#
    _ropewalk
    [[ ${COMPREPLY[*]} == "$expected" ]] ||
        fail "completion of '$*': '${COMPREPLY[*]}', not '$expected'"
}

completion() {
    "$top/build-aux/make-completion" "$program" >"$dir/completion"
    # shellcheck source=/dev/null
    . "$dir/completion"
    completes train tr
    completes 'checkpoint config' c
    completes --resume train --re
    completes '--keys --markdown --help --usage' config -- # not --set, which its help mentions
    completes 'optimizer.lr=' train --set optimizer.l
    completes 'optimizer.lr=' train -s optimizer.l
    completes 'optimizer.lr=' train --set = optimizer.l
    completes adamw train --set optimizer.name = adamw
    completes sgd train --set optimizer.name = sgd
    completes model.blocks.0. train --set model.blo
    completes 'model.blocks.12.state=' train --set model.blocks.12.st
    completes swiglu train --set model.blocks.12.mlp = s
    completes 'auto never' train --resume = ''
    completes heldout eval RUN --split h
    completes 'tail document shuffled' data build OUT --heldout-by ''
    completes 'build info verify' data ''
    completes 'list show verify digest export' checkpoint ''
    completes ssd mixers ss
    completes mqar tasks m
    completes optimizer.lr config optimizer.l
    completes 'ssd' config ss
    completes '' train '' # bash completes file names
}

# A program that does not run, as in a cross build: a completion of file names.
completion_without_program() {
    "$top/build-aux/make-completion" false >"$dir/completion"
    # shellcheck source=/dev/null
    . "$dir/completion"
    completes '' train --re
    completes '' data ''
}

page
explains
manual
completion
completion_without_program
passed
