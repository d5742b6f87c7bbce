# Programs on the CPU, against the reference interpreter.
set(program_modules base graph program backend kernels_baseline)
if(TARGET sal_kernels_avx512)
  list(APPEND program_modules kernels_avx2 kernels_avx512)
endif()
foreach(name test_program test_program_plan)
  sal_unit_test(${name} MODULES ${program_modules} SOURCES unit/${name}.c unit/test_program_nets.c ${SAL_GRAPH_SUPPORT}
                LIBRARIES OpenMP::OpenMP_C ${DNNL_LIBRARY})
endforeach()
