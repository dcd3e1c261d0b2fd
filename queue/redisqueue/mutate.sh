#!/bin/bash
# throwaway: apply a sed to a file, run suite, report
f=$1; expr=$2; shift 2
cp $f /tmp/mut.bak
perl -0pi -e "$expr" $f
if cmp -s $f /tmp/mut.bak; then echo "NOCHANGE: $expr"; exit; fi
out=$(timeout 100 go test "$@" . 2>&1 | grep -E "^\s+--- FAIL|panic|FAIL.*build" | grep -E "/[a-z_]+/|panic|build|Test" | sed 's/ *--- FAIL: //' | tr '\n' ' ')
echo "MUT [$expr] => ${out:-SURVIVED}"
cp /tmp/mut.bak $f
