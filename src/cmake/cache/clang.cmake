# cmake -C src/cmake/cache/clang.cmake: as ci.cmake, by clang and without CUDA.
set(CMAKE_C_COMPILER clang CACHE STRING "")
set(CMAKE_CXX_COMPILER clang++ CACHE STRING "")
include(${CMAKE_CURRENT_LIST_DIR}/ci.cmake)
set(SAL_CUDA OFF CACHE STRING "")
