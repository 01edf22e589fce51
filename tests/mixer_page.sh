#!/bin/bash
# docs/add-a-mixer.md shows the sources word for word: each of its blocks of C
# stands in one of the files that it walks through.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
page=$top/docs/add-a-mixer.md
sources=$(cat "$top/src/mixers/ema.c" "$top/src/ops/recurrence/damped_ema.c" \
    "$top/src/kernels/moving_average.c")$'\n' # $() drops the last one
blocks=0
block=
inside=false
while IFS= read -r line; do
    if [[ $line == '```c' ]]; then
        inside=true block=
    elif [[ $inside == true && $line == '```' ]]; then
        inside=false blocks=$((blocks + 1))
        [[ $sources == *"$block"* ]] || {
            printf 'FAIL: mixer_page: block %s of %s is not in the sources:\n%s' \
                "$blocks" "$page" "$block"
            exit 1
        }
    elif [[ $inside == true ]]; then
        block+=$line$'\n'
    fi
done <"$page"
[[ $blocks -gt 0 ]] || { echo "FAIL: mixer_page: no block of C in $page"; exit 1; }
echo "mixer_page: $blocks blocks of C stand in the sources"
