foreach(name test_draw test_pipeline test_pipeline_names test_pipeline_ring test_top_scores)
  sal_unit_test(${name} LABELS sweep LIBRARIES salmap_internal)
endforeach()
sal_unit_test(test_sweep_bytes LABELS sweep results LIBRARIES salmap_internal PkgConfig::SQLITE -Wl,--wrap=stat)
sal_unit_test(test_picture_program LABELS sweep MODULES base)
target_sources(test_picture_program PRIVATE ${PROJECT_SOURCE_DIR}/src/sweep/suspect_task.c)
add_dependencies(test_picture_program salmap-picture)
set(wraps open sal_helper_start unlinkat sal_pipeline_now sal_picture_read_for sal_own_memory sal_confine_memory)
list(TRANSFORM wraps PREPEND "-Wl,--wrap=")
sal_unit_test(test_suspects LABELS sweep LIBRARIES salmap_internal ${wraps})
# One at a time: where children of several tests die together, Criterion itself leaks a few bytes.
set_property(TEST test_suspects APPEND PROPERTY ENVIRONMENT CRITERION_JOBS=1)
# A sweep forks while its results' thread is at work. Where that thread holds the lock of the address sanitizer's list of freed
# memory just then, the child waits for it for ever (seen in a stack: gcc 12's runtime leaves it held over fork(); glibc's own
# allocator does not). One run in twelve is enough to do without.
if(SAL_SANITIZE)
  set_property(TEST test_suspects APPEND PROPERTY LABELS slow)
endif()
# A network that takes no time: each test sweeps a dozen times.
add_custom_command(
  OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/small_classifier.onnx
  COMMAND ${CMAKE_COMMAND} -E env PYTHONPATH=${PROJECT_SOURCE_DIR}/tests/cli ${Python3_EXECUTABLE} -B
          ${PROJECT_SOURCE_DIR}/tests/gpuless/models.py small_classifier ${CMAKE_CURRENT_BINARY_DIR}/small_classifier.onnx
  DEPENDS ${PROJECT_SOURCE_DIR}/tests/gpuless/models.py ${PROJECT_SOURCE_DIR}/tests/cli/files.py VERBATIM)
target_sources(test_suspects PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/small_classifier.onnx
                                     ${PROJECT_SOURCE_DIR}/src/sweep/suspect_reader/read_suspect.c)
