#!/bin/sh
# consumers.sh CMAKE BUILD CONSUMER WORK CC CONFIG PYTHON DATA: installs BUILD into a new folder, moves it, and builds and
# runs the consumer programs against it; one of them with headers of which every struct has lost a field. They open the
# Keras files of DATA.
set -eu
cmake=$1
build=$2
consumer=$3
work=$4
cc=$5
config=$6
python=$7
data=$8
hdf5=$data/models/scale_age_honest.h5
keras=$data/models/scale_age_honest.keras

rm -rf "$work/first" "$work/prefix" "$work/find_package" "$work/older" "$work/older_out"
"$cmake" --install "$build" --prefix "$work/first" > "$work/install.log"
# Nothing installed may remember where it was put.
mv "$work/first" "$work/prefix"

"$work/prefix/bin/salmap" --version
# The program that reads HDF5 files is found from where the program, or the library, really is.
"$work/prefix/bin/salmap" inspect "$hdf5" > "$work/inspect.log"
ln -sf "$work/prefix/bin/salmap" "$work/link_to_salmap"
"$work/link_to_salmap" inspect "$keras" > "$work/inspect.log"

"$cmake" -S "$consumer" -B "$work/find_package" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_BUILD_TYPE="$config" > "$work/find_package.log"
"$cmake" --build "$work/find_package"
for program in c11 cxx17 c11_static; do
    "$work/find_package/$program"
done
"$work/find_package/c11" "$hdf5" "$keras"

# A static library lies in the consumer's own program, wherever that is: it is told, or has a copy beside it.
static=$work/find_package/c11_static
reader=$(find "$work/prefix" -name salmap-hdf5)
if "$static" "$hdf5" 2> "$work/static.err" ||
    ! grep -q "is not at $work/find_package/libexec/salmap/salmap-hdf5, .*SAL_HDF5_READER" "$work/static.err"; then
    echo "a static library opens HDF5 without salmap-hdf5, or does not say where it should be:" >&2
    cat "$work/static.err" >&2
    exit 1
fi
SAL_HDF5_READER=$reader "$static" "$hdf5" "$keras"
mkdir -p "$work/find_package/libexec/salmap"
cp "$reader" "$work/find_package/libexec/salmap/"
"$static" "$hdf5" "$keras"

# The program that reads pictures lies beside it, and has all that it needs.
"$(dirname "$reader")/salmap-picture" --version | grep -qx "salmap-picture [0-9.]*"

pc=$(find "$work/prefix" -name salmap.pc)
libdir=$(dirname "$(dirname "$pc")")
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
# Flags are words apart.
# shellcheck disable=SC2046
"$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror -o "$work/pkgconfig_c11" "$consumer/c11.c" \
    $(pkg-config --cflags --libs salmap)
LD_LIBRARY_PATH=$libdir "$work/pkgconfig_c11" "$hdf5"
# A host that loads the library by a relative path, and then goes elsewhere.
(cd "$libdir" && "$python" -B "$consumer/../relative_library.py" "$hdf5")
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
