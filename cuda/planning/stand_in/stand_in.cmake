# The driver's stand-in as a library of its own, and SAL_STAND_IN_SOURCE: its bytes as C for driver_stand_in.c. The
# library itself is not installed.
add_library(sal_driver_stand_in MODULE planning/stand_in/driver.c)
set_target_properties(sal_driver_stand_in PROPERTIES PREFIX "" OUTPUT_NAME driver_stand_in)
# Bare: no sanitizer's runtime, no other library, and the name under which cuDNN looks for the driver.
target_compile_options(sal_driver_stand_in PRIVATE -fno-sanitize=all -fno-stack-protector)
target_link_options(sal_driver_stand_in PRIVATE -fno-sanitize=all -nostdlib -s -Wl,-soname,libcuda.so.1)

set(SAL_STAND_IN_SOURCE ${CMAKE_CURRENT_BINARY_DIR}/stand_in_bytes.c)
add_custom_command(
  OUTPUT ${SAL_STAND_IN_SOURCE}
  COMMAND ${CMAKE_COMMAND} -DFROM=$<TARGET_FILE:sal_driver_stand_in> -DTO=${SAL_STAND_IN_SOURCE} -DNAME=cuda_stand_in
          -P ${CMAKE_CURRENT_SOURCE_DIR}/planning/stand_in/embed.cmake
  DEPENDS sal_driver_stand_in planning/stand_in/embed.cmake
  COMMENT "Embedding the driver's stand-in" VERBATIM)
