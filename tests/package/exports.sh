#!/bin/sh
# exports.sh LIBRARY HEADER...: the library, shared or static, exports every function that the
# headers declare with SAL_API, and nothing else.
set -eu
library=$1
shift

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case $library in
*.a) set -- --extern-only "$@" ;;
*) set -- --dynamic "$@" ;;
esac
symbols=$1
shift
# C: a variable that clang's OpenMP shares among objects; no name of C.
nm "$symbols" --defined-only "$library" | awk 'NF == 3 && $2 != "C" { print $NF }' | sed 's/@.*//' | sort -u > "$work/exported"
cat "$@" | grep -v '^#' | grep -oE 'SAL_API[^(]*[ *]sal_[a-z0-9_]+ *\(' | grep -oE 'sal_[a-z0-9_]+ *\($' |
    tr -d ' (' | sort -u > "$work/declared"

if [ "$(wc -l < "$work/declared")" -lt 10 ]; then
    echo "found only $(wc -l < "$work/declared") declarations in $*: the pattern no longer fits them" >&2
    exit 1
fi
if ! diff "$work/declared" "$work/exported" > "$work/diff"; then
    echo "declared and not exported (<), exported and not declared (>):" >&2
    grep '^[<>]' "$work/diff" >&2
    exit 1
fi
echo "$(wc -l < "$work/exported") functions exported, as declared"
