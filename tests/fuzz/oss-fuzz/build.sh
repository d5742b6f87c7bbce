#!/bin/bash -eu
# Builds the fuzz targets for OSS-Fuzz, into $OUT: by $CC and $CXX with $CFLAGS and $CXXFLAGS, linked with
# $LIB_FUZZING_ENGINE. Programs run on another machine: the libraries they need lie beside them.

source=$SRC/salmap
# The back end, which no target has, wants OpenMP; this clang has neither its header nor its library.
openmp=(-DOpenMP_C_FLAGS=-fopenmp -DOpenMP_C_LIB_NAMES=omp
    "-DOpenMP_omp_LIBRARY=$(find /usr/lib -name libomp.so | sort | head -n 1)")
# shellcheck disable=SC2016 # $ORIGIN is the loader's
cmake -S "$source" -B "$WORK/salmap" -G Ninja -DSAL_FUZZ=ON "-DSAL_FUZZ_ENGINE=$LIB_FUZZING_ENGINE" -DSAL_CUDA=OFF \
    -DSAL_COMPILER_CACHE=OFF "${openmp[@]}" '-DCMAKE_EXE_LINKER_FLAGS=-Wl,-rpath,$ORIGIN/lib -Wl,--disable-new-dtags'
cmake --build "$WORK/salmap" --target fuzz_all

mkdir -p "$OUT/lib"
for program in "$WORK"/salmap/tests/fuzz/fuzz_*; do
    target=$(basename "$program")
    name=${target#fuzz_}
    cp "$program" "$OUT/"
    cp "$source/tests/fuzz/corpus/$name.zip" "$OUT/${target}_seed_corpus.zip"
    cp "$source/tests/fuzz/fuzz.options" "$OUT/$target.options"
    cp --dereference "$source/tests/fuzz/dictionaries/$name.dict" "$OUT/$target.dict"
    # All but the C library's own.
    ldd "$program" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' |
        grep -vE '/(libc|libm|libdl|librt|libpthread|libresolv|libgcc_s|ld-linux[^/]*)\.so' |
        xargs -r cp --update --dereference --target-directory "$OUT/lib"
done
