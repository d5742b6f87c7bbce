# The scripts about GPUs, where there is none.
add_test(NAME kernel_resources_checker
         COMMAND /usr/bin/python3 -B ${CMAKE_CURRENT_SOURCE_DIR}/gpuless/test_kernel_resources.py)
add_test(NAME gpu_check COMMAND /usr/bin/python3 -B ${CMAKE_CURRENT_SOURCE_DIR}/gpuless/test_gpu_check.py
                                ${PROJECT_BINARY_DIR})
set_tests_properties(gpu_check PROPERTIES TIMEOUT 300)
# What nvcc makes of the kernels: every architecture, whatever the library itself is built for. A sanitizer changes
# nothing there.
if(NOT SAL_SANITIZE)
  add_test(NAME kernel_resources COMMAND /usr/bin/python3 ${PROJECT_SOURCE_DIR}/scripts/kernel_resources.py
                                         --nvcc "${SAL_NVCC}" --cache ${PROJECT_BINARY_DIR}/kernel_resources)
  set_tests_properties(kernel_resources PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1800 PROCESSORS 2 COST 120)
endif()
