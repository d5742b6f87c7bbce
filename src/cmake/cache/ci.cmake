# cmake -C src/cmake/cache/ci.cmake: as dev.cmake, by gcc, and no warning passes. Debug information is lines alone: half of the compile
# time of the emulated kernels, and a third of the space, was the rest.
include(${CMAKE_CURRENT_LIST_DIR}/dev.cmake)
set(CMAKE_C_COMPILER gcc CACHE STRING "")
set(CMAKE_CXX_COMPILER g++ CACHE STRING "")
set(SAL_WERROR ON CACHE BOOL "")
foreach(language IN ITEMS C CXX)
  set(CMAKE_${language}_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG" CACHE STRING "")
endforeach()
