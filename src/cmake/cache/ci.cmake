# cmake -C src/cmake/cache/ci.cmake: as dev.cmake, and no warning passes.
include(${CMAKE_CURRENT_LIST_DIR}/dev.cmake)
set(SAL_WERROR ON CACHE BOOL "")
