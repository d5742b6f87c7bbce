# cmake -C src/cmake/cache/tsan.cmake: as ci.cmake, under the thread sanitizer. clang's OpenMP library tells it of its own
# waiting (archer); gcc's does not.
set(CMAKE_C_COMPILER clang CACHE STRING "")
set(CMAKE_CXX_COMPILER clang++ CACHE STRING "")
include(${CMAKE_CURRENT_LIST_DIR}/ci.cmake)
set(SAL_SANITIZE thread CACHE STRING "")
