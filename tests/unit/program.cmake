# Programs on the CPU, against the reference interpreter.
set(modules base graph program backend kernels_baseline)
if(TARGET sal_kernels_avx512)
  list(APPEND modules kernels_avx2 kernels_avx512)
endif()
sal_test_objects(program_nets unit/test_program_nets.c)
foreach(name test_program test_program_plan)
  sal_unit_test(${name} LABELS program MODULES ${modules} SUPPORT program_nets token_nets graph_builder naive_graph
                LIBRARIES OpenMP::OpenMP_C ${DNNL_LIBRARY})
endforeach()
sal_unit_test(test_flat_pools LABELS program import MODULES ${modules} import SUPPORT graph_builder naive_graph
              LIBRARIES OpenMP::OpenMP_C ${DNNL_LIBRARY})
# The longest of the unit tests begins first.
set_tests_properties(test_program PROPERTIES COST 120)

# Programs of a device that computes nothing.
sal_test_objects(fake_device unit/fake_device.c)
foreach(name test_program_place test_program_device test_program_steps)
  sal_unit_test(${name} LABELS program MODULES base graph program SUPPORT fake_device program_nets token_nets graph_builder naive_graph)
endforeach()
sal_unit_test(test_attribution LABELS attribution MODULES base graph program attribution SUPPORT fake_device program_nets token_nets
              graph_builder naive_graph)
