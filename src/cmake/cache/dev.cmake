# cmake -C src/cmake/cache/dev.cmake: a developer's build, with the tests. GPU kernels for one architecture, which later ones
# compile again when they run them: all take minutes. The test kernel_resources compiles for all.
set(SAL_TESTS ON CACHE BOOL "")
set(SAL_CUDA_ARCHITECTURES 75 CACHE STRING "")
