#!/bin/sh
# reference.sh DOXYFILE HEADERS WORK: the reference of the public headers in HEADERS can be made without a warning, and
# cannot be where a comment is missing: of a function, a struct, a field, an enumeration or a macro.
set -eu
doxyfile=$1
headers=$2
work=$3

if ! command -v doxygen > /dev/null; then
    echo "there is no doxygen: scripts/setup.sh --checks installs it" >&2
    exit 77
fi

# make NAME: of the headers in $work/NAME; what Doxygen says goes to $work/NAME.log.
make() {
    {
        cat "$doxyfile"
        echo "INPUT = \"$work/$1\""
        echo "OUTPUT_DIRECTORY = \"$work/$1.pages\""
    } | doxygen - > "$work/$1.log" 2>&1
}

rm -rf "$work"
mkdir -p "$work"
cp -r "$headers" "$work/whole"
if ! make whole; then
    cat "$work/whole.log" >&2
    exit 1
fi
pages=$work/whole.pages/html
for words in "Decodes PNG, JPEG" "which thread may call what" "bytes that one picture may take"; do
    if ! grep -rqi "$words" "$pages"; then
        echo "the reference lacks '$words'" >&2
        exit 1
    fi
done

# refuse NAME SYMBOL EXPRESSION: without the comment that sed's expression takes away, SYMBOL is missed by name.
refuse() {
    cp -r "$headers" "$work/$1"
    sed -i "$3" "$work/$1/salmap.h"
    if cmp -s "$headers/salmap.h" "$work/$1/salmap.h"; then
        echo "$1: the header has no such comment any more" >&2
        exit 1
    fi
    if make "$1" || ! grep -q "$2.* is not documented" "$work/$1.log"; then
        echo "$1: nobody misses the comment of $2" >&2
        cat "$work/$1.log" >&2
        exit 1
    fi
}
refuse function sal_version '/^\/\* "0\.[0-9.]*"\. Borrowed, static\. \*\/$/d'
refuse struct sal_placement '/^\/\* Where a network.s input lies/,/\*\/$/d'
refuse field max_nodes 's|^\( *uint64_t max_nodes;\).*|\1|'
refuse enumeration sal_reduce '/^\/\* How the channels of an attribution/d'
refuse macro SAL_DEFAULT 's|^\(#define SAL_DEFAULT (-1\.0)\).*|\1|'
echo "the reference is whole, and five missing comments are missed"
