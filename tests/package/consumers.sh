#!/bin/sh
# consumers.sh CMAKE BUILD CONSUMER WORK CC CONFIG PYTHON DATA: installs BUILD into a new folder, moves it, and builds and
# runs the consumer programs against it; one of them with headers of which every struct has lost a field.
set -eu
cmake=$1
build=$2
consumer=$3
work=$4
cc=$5
config=$6
python=$7
data=$8

rm -rf "$work/first" "$work/prefix" "$work/find_package" "$work/older" "$work/older_out"
"$cmake" --install "$build" --prefix "$work/first" > "$work/install.log"
# Nothing installed may remember where it was put.
mv "$work/first" "$work/prefix"

"$work/prefix/bin/salmap" --version

"$cmake" -S "$consumer" -B "$work/find_package" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_BUILD_TYPE="$config" > "$work/find_package.log"
"$cmake" --build "$work/find_package"
for program in c11 cxx17 c11_static; do
    "$work/find_package/$program"
done

pc=$(find "$work/prefix" -name salmap.pc)
libdir=$(dirname "$(dirname "$pc")")
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
# Flags are words apart.
# shellcheck disable=SC2046
"$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror -o "$work/pkgconfig_c11" "$consumer/c11.c" \
    $(pkg-config --cflags --libs salmap)
LD_LIBRARY_PATH=$libdir "$work/pkgconfig_c11"
# shellcheck disable=SC2046
c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -o "$work/pkgconfig_cxx17" "$consumer/cxx17.cpp" \
    $(pkg-config --cflags --libs salmap)
LD_LIBRARY_PATH=$libdir "$work/pkgconfig_cxx17"
# shellcheck disable=SC2046
"$cc" -std=c11 -o "$work/pkgconfig_static" "$consumer/c11.c" $(pkg-config --cflags salmap) "$libdir/libsalmap.a" \
    $(pkg-config --static --libs salmap | sed 's/-lsalmap//')
"$work/pkgconfig_static"

# A program that was compiled before the last field of every struct was added works with the library of today.
"$python" -B "$consumer/../older_headers.py" "$work/prefix/include/salmap" "$work/older/salmap"
# shellcheck disable=SC2046
"$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror -I"$work/older" -o "$work/older_program" "$consumer/older.c" \
    $(pkg-config --libs salmap)
mkdir "$work/older_out"
LD_LIBRARY_PATH=$libdir "$work/older_program" "$data" "$work/older_out"
