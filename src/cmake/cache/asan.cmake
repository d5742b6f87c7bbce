# cmake -C src/cmake/cache/asan.cmake: as ci.cmake, under the address and the undefined-behaviour sanitizer.
include(${CMAKE_CURRENT_LIST_DIR}/ci.cmake)
set(SAL_SANITIZE address,undefined CACHE STRING "")
