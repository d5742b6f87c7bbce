# The tests of the tests: each bug of bugs.py, planted in a source of cuda/, makes one of them fail.

# sal_planted(BUG FILE PROGRAM): the program planted_BUG, which is PROGRAM with the bug in FILE.
function(sal_planted bug file program)
  sal_rewritten(source ${file} bugs/${bug} --bug ${bug})
  add_library(planted_${bug}_source OBJECT ${source})
  sal_emulator_options(planted_${bug}_source)
  # Its own objects and what it shares with others: sal_emulated() gives it the rest.
  if(program STREQUAL "emulated_maps")
    set(own $<TARGET_OBJECTS:test_maps_objects>)
  else()
    set(own $<TARGET_OBJECTS:conformance_suite> $<TARGET_OBJECTS:naive_graph>)
  endif()
  sal_emulated_test(planted_${bug} ${own} $<TARGET_OBJECTS:planted_${bug}_source>)
endfunction()

# sal_caught(BUG FILE PROGRAM MESSAGE [OPTION...]): PROGRAM with the bug fails, and prints MESSAGE.
function(sal_caught bug file program message)
  sal_planted(${bug} ${file} ${program})
  set(until "")
  if(program STREQUAL "emulated_maps")
    set(until --fail-fast)
    if(message STREQUAL "are_the_hosts")
      list(APPEND until --filter maps/are_the_hosts)
    endif()
  endif()
  # Slow: what is checked here is the checks.
  sal_test(planted_${bug} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/must_fail.sh "${message}" $<TARGET_FILE:planted_${bug}> ${until} ${ARGN}
           LABELS gpu cuda slow ENVIRONMENT XDG_CACHE_HOME=none HOME=none)
endfunction()

# The thread sanitizer sees threads that do not wait for each other, whatever their order, and sees none in what ships.
if(SAL_SANITIZE MATCHES "thread")
  set(bugs row_barrier column_barrier reused_tile)
  # More threads, OpenMP's among them, than it can tell apart would hide races: see block.cpp.
  set(tsan "OMP_NUM_THREADS=2;XDG_CACHE_HOME=none;HOME=none;TSAN_OPTIONS=ignore_noninstrumented_modules=1:exitcode=66")
  foreach(bug IN LISTS bugs)
    sal_planted(${bug} kernels/smooth.cu emulated_maps)
    foreach(order IN ITEMS forward reverse 11)
      sal_test(race_${bug}_${order}
               COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/must_fail.sh "ThreadSanitizer: data race" $<TARGET_FILE:planted_${bug}>
                       maps/are_the_hosts
               LABELS gpu cuda ENVIRONMENT "SAL_EMU_ORDER=${order};${tsan}:halt_on_error=1")
    endforeach()
  endforeach()
  foreach(program maps conformance)
    set(options "")
    # Every fourth case: each kernel has dozens, which differ in shapes and numbers, not in who waits for whom.
    if(program STREQUAL "conformance")
      set(options --backend cuda:0 --shard 0/4)
    endif()
    sal_test(race_none_${program} COMMAND emulated_${program} ${options} LABELS gpu cuda
             ENVIRONMENT "SAL_EMU_OPEN=1;${tsan}")
  endforeach()
  # Workers of several devices, with decoders and encoders beside them.
  sal_test(race_none_devices COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/test_emulated.py
                                     $<TARGET_FILE:emulated_salmap> ${PROJECT_SOURCE_DIR} Devices
           LABELS gpu cuda sweep ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1;${tsan}")
  return()
endif()

sal_caught(row_barrier kernels/smooth.cu emulated_maps "are_the_hosts")
sal_caught(column_barrier kernels/smooth.cu emulated_maps "are_the_hosts")
sal_caught(reused_tile kernels/smooth.cu emulated_maps "are_the_hosts")
sal_caught(row_halo kernels/smooth.cu emulated_maps "are_the_hosts")
sal_caught(column_halo kernels/smooth.cu emulated_maps "are_the_hosts")
sal_caught(warp_lane kernels/measure.cu emulated_maps "are_the_hosts")
sal_caught(overrun kernels/normalize.cu emulated_maps "behind an allocation")
sal_caught(noise_tail kernels/methods.cu emulated_conformance "FAIL: method perturb" --backend cuda:0 --filter perturb --until-failure)
sal_caught(cam_lane kernels/cam.cu emulated_conformance "FAIL: method cam" --backend cuda:0 --filter cam --until-failure)
sal_caught(sum_barrier kernels/reduce.cu emulated_conformance "FAIL: reduce" --backend cuda:0 --filter reduce --until-failure)
sal_caught(gather_readers kernels/gather.cu emulated_conformance "FAIL: gather backward" --backend cuda:0 --filter gather --until-failure)
sal_caught(matrix_stride product.c emulated_conformance "FAIL: matmul" --backend cuda:0 --filter matmul --until-failure)
sal_caught(channel_stride planning/cudnn_describe.c emulated_conformance "FAIL: conv" --backend cuda:0 --filter conv --until-failure)
sal_caught(window_stride planning/cudnn_describe.c emulated_conformance "FAIL: conv.*direct" --backend cuda:0 --filter conv
           --refuse direct)
sal_caught(upload_wait transfers.c emulated_conformance "FAIL: " --backend cuda:0 --filter conv --until-failure)
sal_caught(upload_reuse transfers.c emulated_conformance "FAIL: " --backend cuda:0 --filter conv --until-failure)
sal_caught(overlay_wait maps.c emulated_maps "overlay differs|overlay [0-9]")
sal_caught(early_read maps.c emulated_maps "overlay differs|overlay [0-9]")
sal_caught(leak maps.c emulated_maps "are left")
sal_caught(host_access maps.c emulated_maps "from the host")
# Threads in their usual order do not show it.
set_property(TEST planted_reused_tile APPEND PROPERTY ENVIRONMENT SAL_EMU_ORDER=reverse)
