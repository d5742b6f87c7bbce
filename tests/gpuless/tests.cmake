# Nothing of ours is computed there: a sanitizer would watch NVIDIA's compiler.
if(NOT SAL_SANITIZE)
  foreach(gpu IN ITEMS t4 a100 rtx4090 h100 b200)
    add_test(NAME planning_${gpu} COMMAND test_planning ${gpu} ${CMAKE_CURRENT_SOURCE_DIR}/conv_shapes.csv
                                          ${CMAKE_CURRENT_SOURCE_DIR}/unfused.csv)
    set_tests_properties(planning_${gpu} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 900)
  endforeach()
  add_test(NAME planning_program COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/test_plan_gpu.py
                                         $<TARGET_FILE:salmap> ${PROJECT_SOURCE_DIR})
  set_tests_properties(planning_program PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 900 COST 200
                                                   ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
endif()

# What runs on the emulated device. Closing device memory to the host at every step costs time, so one run of the
# conformance suite does, and the others have it open.
function(sal_emulated_conformance name)
  cmake_parse_arguments(arg "" "" "ENVIRONMENT;OPTIONS" ${ARGN})
  add_test(NAME ${name} COMMAND emulated_conformance --backend cuda:0 ${arg_OPTIONS})
  set_tests_properties(
    ${name} PROPERTIES TIMEOUT 900 ENVIRONMENT
                       "OMP_WAIT_POLICY=passive;XDG_CACHE_HOME=none;HOME=none;${arg_ENVIRONMENT}")
endfunction()
sal_emulated_conformance(conformance_cuda OPTIONS --refuse direct)
sal_emulated_conformance(conformance_cuda_fp16 OPTIONS --precision fp16
                         ENVIRONMENT SAL_EMU_OPEN=1 SAL_EMU_STREAMS=3 SAL_EMU_ORDER=3)
sal_emulated_conformance(conformance_cuda_bf16_unfused OPTIONS --precision bf16
                         ENVIRONMENT SAL_EMU_OPEN=1 SAL_EMU_UNFUSED=all SAL_EMU_ORDER=reverse)
sal_emulated_conformance(conformance_cuda_no_plans OPTIONS --filter conv
                         ENVIRONMENT SAL_EMU_OPEN=1 SAL_EMU_UNFUSED=none SAL_EMU_ORDER=5)

foreach(order IN ITEMS forward reverse 11)
  add_test(NAME emulated_maps_${order} COMMAND emulated_maps)
  set_tests_properties(emulated_maps_${order} PROPERTIES TIMEOUT 300 ENVIRONMENT
                                                         "SAL_EMU_ORDER=${order};SAL_EMU_STREAMS=${order}")
endforeach()

# Whole networks against PyTorch in double precision, and the demo's promise.
set(environment "SAL_EMU_OPEN=1;OMP_WAIT_POLICY=passive;XDG_CACHE_HOME=none;HOME=none")
add_test(NAME emulated_architectures COMMAND emulated_architectures --jobs 1 --verbose)
set_tests_properties(
  emulated_architectures
  PROPERTIES TIMEOUT 1800 SKIP_REGULAR_EXPRESSION "SAL_ARCHITECTURES names no folder"
             ENVIRONMENT "SAL_TEST_DEVICE=cuda:0;${environment}")
add_test(NAME emulated_demo_networks
         COMMAND /usr/bin/python3 ${PROJECT_SOURCE_DIR}/scripts/demo_shares.py $<TARGET_FILE:emulated_salmap>
                 --check 5 --device cuda:0)
set_tests_properties(emulated_demo_networks PROPERTIES TIMEOUT 300 ENVIRONMENT "${environment}")

foreach(group IN ITEMS Equality HalfPrecision Streams Memory Faults Devices)
  add_test(NAME emulated_${group} COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/test_emulated.py
                                          $<TARGET_FILE:emulated_salmap> ${PROJECT_SOURCE_DIR} ${group})
  set_tests_properties(emulated_${group} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 900 ENVIRONMENT
                                                    "PYTHONDONTWRITEBYTECODE=1")
endforeach()
if(SAL_SANITIZE)
  set_property(TEST emulated_Faults APPEND PROPERTY ENVIRONMENT SAL_FAULT_STRIDE=7)
endif()
# The same as other runs of theirs, with less or in another order.
set_tests_properties(conformance_cuda_no_plans conformance_cuda_bf16_unfused emulated_maps_reverse emulated_maps_11
                     PROPERTIES LABELS long)
set_tests_properties(emulated_Faults conformance_cuda PROPERTIES COST 110)
