# The scripts about GPUs, where there is none.
sal_test(kernel_resources_checker COMMAND ${SAL_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/gpuless/test_kernel_resources.py
         LABELS gpu scripts)
# Slow, since other compilers and sanitizers see nothing new in what a script prints.
sal_test(gpu_check COMMAND ${SAL_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/gpuless/test_gpu_check.py Command DryRun Children Numbers
                          ${PROJECT_BINARY_DIR}
         PROGRAMS salmap conformance bench_gradient bench_peak LABELS gpu scripts slow)
# What nvcc makes of the kernels: every architecture, whatever the library itself is built for. A sanitizer changes
# nothing there.
if(NOT SAL_SANITIZE)
  sal_test(kernel_resources COMMAND ${SAL_PYTHON} ${PROJECT_SOURCE_DIR}/scripts/kernel_resources.py "--nvcc=${SAL_NVCC}"
                                    --cache ${PROJECT_BINARY_DIR}/kernel_resources
           LABELS gpu cuda slow PROPERTIES TIMEOUT 1800 PROCESSORS 2 COST 120 MAY_SKIP)
endif()
