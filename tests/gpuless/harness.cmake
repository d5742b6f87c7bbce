# The tests of the tests: each bug of bugs.py, planted in a source of cuda/, makes one of them fail.

# sal_caught(BUG FILE PROGRAM MESSAGE [OPTION...]): PROGRAM with the bug fails, and prints MESSAGE.
function(sal_caught bug file program message)
  sal_rewritten(source ${file} bugs/${bug} --bug ${bug})
  add_library(planted_${bug}_source OBJECT ${source})
  sal_emulator_options(planted_${bug}_source)
  get_target_property(sources ${program} SOURCES)
  list(FILTER sources EXCLUDE REGEX "TARGET_OBJECTS")
  sal_emulated_test(planted_${bug} ${sources} $<TARGET_OBJECTS:planted_${bug}_source>)
  add_test(NAME planted_${bug} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/must_fail.sh "${message}"
                                       $<TARGET_FILE:planted_${bug}> ${ARGN})
  set_tests_properties(planted_${bug} PROPERTIES TIMEOUT 300 ENVIRONMENT "XDG_CACHE_HOME=none;HOME=none")
endfunction()

sal_caught(row_barrier smooth.cu emulated_maps "are_the_hosts")
sal_caught(column_barrier smooth.cu emulated_maps "are_the_hosts")
sal_caught(reused_tile smooth.cu emulated_maps "are_the_hosts")
sal_caught(row_halo smooth.cu emulated_maps "are_the_hosts")
sal_caught(column_halo smooth.cu emulated_maps "are_the_hosts")
sal_caught(warp_lane measure.cu emulated_maps "are_the_hosts")
sal_caught(overrun normalize.cu emulated_maps "behind an allocation")
sal_caught(channel_stride cudnn_describe.c emulated_conformance "FAIL: conv" --backend cuda:0 --filter conv)
sal_caught(window_stride cudnn_describe.c emulated_conformance "FAIL: conv.*direct" --backend cuda:0 --filter conv
           --refuse direct)
sal_caught(upload_wait backend_cuda.c emulated_conformance "FAIL: " --backend cuda:0 --filter conv)
sal_caught(upload_reuse backend_cuda.c emulated_conformance "FAIL: " --backend cuda:0 --filter conv)
sal_caught(overlay_wait maps.c emulated_maps "overlay differs|overlay [0-9]")
sal_caught(early_read maps.c emulated_maps "overlay differs|overlay [0-9]")
sal_caught(leak maps.c emulated_maps "are left")
sal_caught(host_access maps.c emulated_maps "from the host")
# Threads in their usual order do not show it.
set_property(TEST planted_reused_tile APPEND PROPERTY ENVIRONMENT SAL_EMU_ORDER=reverse)
