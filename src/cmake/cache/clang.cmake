# cmake -C src/cmake/cache/clang.cmake: as ci.cmake, by clang, as where there is no CUDA toolkit.
include(${CMAKE_CURRENT_LIST_DIR}/ci.cmake)
set(CMAKE_C_COMPILER clang CACHE STRING "")
set(CMAKE_CXX_COMPILER clang++ CACHE STRING "")
set(SAL_CUDA OFF CACHE STRING "")
