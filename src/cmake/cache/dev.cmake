# cmake -C src/cmake/cache/dev.cmake: a developer's build, with the tests. GPU kernels for one architecture, which later ones
# compile again when they run them: all take minutes. The test kernel_resources compiles for all.
set(SAL_TESTS ON CACHE BOOL "")
set(SAL_CUDA_ARCHITECTURES 75 CACHE STRING "")
# Dozens of programs are linked: lld takes a fifth of the usual linker's time. The shared library is linked as users link it.
find_program(SAL_LLD ld.lld)
if(SAL_LLD)
  set(CMAKE_EXE_LINKER_FLAGS -fuse-ld=lld CACHE STRING "")
endif()
