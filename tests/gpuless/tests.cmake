# Where NVIDIA's libraries are found.
add_executable(test_nvidia_folders test_nvidia_folders.c ${PROJECT_SOURCE_DIR}/cuda/nvidia_folders.c)
sal_test_options(test_nvidia_folders)
target_include_directories(test_nvidia_folders PRIVATE ${PROJECT_SOURCE_DIR}/cuda)
target_link_libraries(test_nvidia_folders PRIVATE PkgConfig::CRITERION)
sal_test(test_nvidia_folders COMMAND test_nvidia_folders LABELS unit cuda)
# Plans that do not run, with no cuDNN at all.
add_executable(test_plan_cache test_plan_cache.c
                               "$<FILTER:$<TARGET_OBJECTS:sal_cuda>,INCLUDE,(plan_cache|cudnn_graph|cudnn_describe)>")
sal_test_options(test_plan_cache)
target_include_directories(test_plan_cache PRIVATE ${PROJECT_SOURCE_DIR}/cuda)
target_include_directories(test_plan_cache SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS} ${CUDNN_INCLUDE_DIR})
target_link_libraries(test_plan_cache PRIVATE sal_base sal_graph PkgConfig::CRITERION)
sal_test(test_plan_cache COMMAND test_plan_cache LABELS unit cuda)
sal_test(nvidia_libraries COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/test_nvidia.py $<TARGET_FILE:salmap> ${PROJECT_SOURCE_DIR}
         LABELS gpu cuda cli ENVIRONMENT PYTHONDONTWRITEBYTECODE=1)

# Nothing of ours is computed there: a sanitizer would watch NVIDIA's compiler.
if(NOT SAL_SANITIZE)
  # A third of the plans each, each plan on one GPU of the middle generations; all of them on the oldest, whose engines are
  # not compiled.
  set(part_t4 0/1)
  set(part_a100 0/3)
  set(part_rtx4090 1/3)
  set(part_h100 2/3)
  set(part_b200 1/3)
  foreach(gpu IN ITEMS t4 a100 rtx4090 h100 b200)
    sal_test(planning_${gpu} COMMAND test_planning ${gpu} ${CMAKE_CURRENT_SOURCE_DIR}/conv_shapes.csv
                                     ${CMAKE_CURRENT_SOURCE_DIR}/unfused.csv ${part_${gpu}}
             LABELS gpu cuda slow MAY_SKIP)
    sal_test(planning_ties_${gpu} COMMAND test_planning ${gpu} ${CMAKE_CURRENT_SOURCE_DIR}/conv_shapes.csv --ties
             LABELS gpu cuda slow MAY_SKIP)
  endforeach()
  sal_test(planning_program COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/test_plan_gpu.py $<TARGET_FILE:salmap>
                                    ${PROJECT_SOURCE_DIR}
           LABELS gpu cuda cli slow ENVIRONMENT PYTHONDONTWRITEBYTECODE=1 PROPERTIES COST 200 MAY_SKIP)
endif()

# What runs on the emulated device. Closing device memory to the host at every step costs more time than the steps: half of the
# cases of one run of the conformance suite do, and all others have it open.
function(sal_emulated_conformance name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "ENVIRONMENT;OPTIONS;LABELS")
  sal_test(${name} COMMAND emulated_conformance --backend cuda:0 ${arg_OPTIONS} LABELS gpu conformance cuda ${arg_LABELS}
           ENVIRONMENT XDG_CACHE_HOME=none HOME=none ${arg_ENVIRONMENT})
endfunction()
# Sanitizers see a quarter of the cases in one precision and another in the other.
set(half --shard 0/2)
set(others "")
if(SAL_SANITIZE)
  set(half --shard 0/4)
  set(others --shard 1/4)
endif()
sal_emulated_conformance(conformance_cuda OPTIONS --refuse direct ${half})
if(NOT SAL_SANITIZE)
  sal_emulated_conformance(conformance_cuda_open OPTIONS --refuse direct --shard 1/2 ENVIRONMENT SAL_EMU_OPEN=1)
endif()
sal_emulated_conformance(conformance_cuda_fp16 OPTIONS --precision fp16 ${others}
                         ENVIRONMENT SAL_EMU_OPEN=1 SAL_EMU_STREAMS=3 SAL_EMU_ORDER=3)
# The same as other runs of theirs, with less or in another order: slow, and every other case.
sal_emulated_conformance(conformance_cuda_bf16_unfused OPTIONS --precision bf16 --shard 0/2 LABELS slow
                         ENVIRONMENT SAL_EMU_OPEN=1 SAL_EMU_UNFUSED=all SAL_EMU_ORDER=reverse)
sal_emulated_conformance(conformance_cuda_no_plans OPTIONS --filter conv --shard 1/2 LABELS slow
                         ENVIRONMENT SAL_EMU_OPEN=1 SAL_EMU_UNFUSED=none SAL_EMU_ORDER=5)

foreach(order IN ITEMS forward reverse 11)
  set(slow "")
  if(NOT order STREQUAL "forward")
    set(slow slow)
  endif()
  sal_test(emulated_maps_${order} COMMAND emulated_maps LABELS gpu cuda map ${slow}
           ENVIRONMENT SAL_EMU_ORDER=${order} SAL_EMU_STREAMS=${order})
endforeach()

# Whole networks: small ones against the reference interpreter, architectures against PyTorch in double precision, and the
# demo's promise.
set(environment SAL_EMU_OPEN=1 XDG_CACHE_HOME=none HOME=none)
if(TARGET emulated_programs)
  sal_test(emulated_programs COMMAND emulated_programs LABELS gpu cuda program ENVIRONMENT ${environment})
endif()
sal_test(emulated_architectures COMMAND emulated_architectures --jobs 1 --verbose LABELS gpu golden cuda slow
         ENVIRONMENT SAL_TEST_DEVICE=cuda:0 SAL_ARCHITECTURES=${SAL_REFERENCES}/architectures ${environment}
         PROPERTIES TIMEOUT 1800 FIXTURES_REQUIRED pytorch SKIP_REGULAR_EXPRESSION "SAL_ARCHITECTURES names no folder")
sal_test(emulated_demo_networks
         COMMAND ${SAL_PYTHON} ${PROJECT_SOURCE_DIR}/scripts/demo_shares.py $<TARGET_FILE:emulated_salmap> --check 5 --device cuda:0
         LABELS gpu cuda attribution slow ENVIRONMENT ${environment})

# What scripts/gpu_check.sh --bundle does on a GPU's host.
sal_test(gpu_check_rehearsal COMMAND ${SAL_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/test_gpu_check.py Rehearsal ${PROJECT_BINARY_DIR}
         PROGRAMS emulated_salmap emulated_conformance emulated_bench_gradient emulated_bench_gpu LABELS gpu cuda scripts slow
         PROPERTIES COST 60)

foreach(group IN ITEMS Equality Methods HalfPrecision Streams Memory Faults Devices)
  sal_test(emulated_${group} COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/test_emulated.py
                                     $<TARGET_FILE:emulated_salmap> ${PROJECT_SOURCE_DIR} ${group}
           LABELS gpu cuda ENVIRONMENT PYTHONDONTWRITEBYTECODE=1 MAY_SKIP)
endforeach()
# Each call before the first picture, and a third of those for the pictures, of which there are three, with the same calls.
set_property(TEST emulated_Faults APPEND PROPERTY ENVIRONMENT SAL_FAULT_STRIDE=3)
# That the host stays away from device memory is seen without a sanitizer, and in emulated_maps with one.
if(SAL_SANITIZE)
  set_property(TEST emulated_Faults APPEND PROPERTY ENVIRONMENT SAL_FAULT_STRIDE=13)
  foreach(name emulated_Equality emulated_Methods emulated_HalfPrecision emulated_Streams emulated_Memory emulated_Faults emulated_Devices
               conformance_cuda)
    set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT SAL_EMU_OPEN=1)
  endforeach()
  # Stacks of their own for variables that outlive their block: for thousands of fibers that takes half of the time.
  set_property(TEST emulated_maps_forward PROPERTY ENVIRONMENT_MODIFICATION
                                           ASAN_OPTIONS=string_append::detect_stack_use_after_return=0)
endif()
# Costs, here and elsewhere: the longest begin first, or one core waits for them at the end.
set_tests_properties(emulated_Faults conformance_cuda PROPERTIES COST 110)
set_tests_properties(emulated_maps_forward PROPERTIES COST 15)
