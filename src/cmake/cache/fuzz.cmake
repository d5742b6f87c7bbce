# cmake -C src/cmake/cache/fuzz.cmake: the fuzz targets on clang's libFuzzer, under the address and the undefined-behaviour
# sanitizer. With CUDA's headers there is one more of them; no kernel is compiled for it.
set(CMAKE_C_COMPILER clang CACHE STRING "")
set(CMAKE_CXX_COMPILER clang++ CACHE STRING "")
include(${CMAKE_CURRENT_LIST_DIR}/ci.cmake)
set(SAL_TESTS OFF CACHE BOOL "" FORCE)
set(SAL_FUZZ ON CACHE BOOL "")
set(SAL_SANITIZE address,undefined CACHE STRING "")
