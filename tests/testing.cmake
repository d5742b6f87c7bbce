# How a test is declared. Every test goes through sal_test(), which refuses one without labels.

set(SAL_TEST_KINDS unit conformance golden cli gpu package)
set(SAL_TEST_ROOMS base graph import image map figure program backend attribution api dataset results sweep report cli cuda scripts)

# sal_test(NAME COMMAND word... LABELS kind... room... [slow] [sample] [PROGRAMS target...] [ENVIRONMENT NAME=value...]
#          [PROPERTIES name value...] [MAY_SKIP])
#   kind     what the test compares with: see SAL_TEST_KINDS and tests/README.md
#   room     whose behaviour it shows: a folder of src/, cuda or scripts
#   slow     runs for long, or needs PyTorch or Keras: left out of scripts/test.sh --quick, and so of the sanitizers
#   sample   stands for its kind in `.ci/run quick`
#   PROGRAMS what has to be built first, beside the command's own targets
#   MAY_SKIP exit status 77 is a skip; elsewhere it is a failure like any other
# OpenMP's threads sleep while they wait: tests run side by side, and threads that spin take the cores from the others
# (test_program took five times as long).
# The target needs_NAME builds what the test runs, tests_LABEL what the tests with a label run, tests_quick what all but the
# slow ones run.
function(sal_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "MAY_SKIP" "" "COMMAND;LABELS;PROGRAMS;ENVIRONMENT;PROPERTIES")
  foreach(label IN LISTS arg_LABELS)
    if(NOT label IN_LIST SAL_TEST_KINDS AND NOT label IN_LIST SAL_TEST_ROOMS AND NOT label MATCHES "^(slow|sample)$")
      message(FATAL_ERROR "test ${name}: there is no label '${label}'; tests/testing.cmake has the list")
    endif()
  endforeach()
  set(kinds ${SAL_TEST_KINDS})
  set(rooms ${SAL_TEST_ROOMS})
  list(REMOVE_ITEM kinds ${arg_LABELS})
  list(REMOVE_ITEM rooms ${arg_LABELS})
  if(kinds STREQUAL "${SAL_TEST_KINDS}" OR rooms STREQUAL "${SAL_TEST_ROOMS}")
    message(FATAL_ERROR "test ${name}: LABELS wants a kind (${SAL_TEST_KINDS}) and a room (${SAL_TEST_ROOMS})")
  endif()
  if("" IN_LIST arg_COMMAND)
    message(FATAL_ERROR "test ${name}: an empty word of a command is lost on its way to add_test()")
  endif()

  # What fontconfig keeps of its configuration, it points to in ways that the leak sanitizer does not see.
  if(SAL_SANITIZE MATCHES "address")
    list(APPEND arg_ENVIRONMENT "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/lsan.txt:print_suppressions=0")
  endif()
  add_test(NAME ${name} COMMAND ${arg_COMMAND})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT 900
                                          ENVIRONMENT "OMP_WAIT_POLICY=passive;${arg_ENVIRONMENT}" ${arg_PROPERTIES})
  if(arg_MAY_SKIP)
    set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77)
  endif()

  set(programs ${arg_PROGRAMS})
  foreach(word IN LISTS arg_COMMAND)
    string(REGEX REPLACE "^\\$<TARGET_FILE:(.*)>$" "\\1" word "${word}")
    if(TARGET "${word}" AND NOT word STREQUAL "Python3::Interpreter")
      list(APPEND programs ${word})
    endif()
  endforeach()
  add_custom_target(needs_${name} DEPENDS ${programs})
  if(NOT "slow" IN_LIST arg_LABELS)
    list(APPEND arg_LABELS quick)
  endif()
  foreach(label IN LISTS arg_LABELS)
    set_property(GLOBAL APPEND PROPERTY SAL_PROGRAMS_${label} ${programs})
  endforeach()
endfunction()

# After the last sal_test().
function(sal_test_targets)
  set(labels ${SAL_TEST_KINDS} ${SAL_TEST_ROOMS} slow sample quick)
  list(REMOVE_DUPLICATES labels)
  foreach(label IN LISTS labels)
    get_property(programs GLOBAL PROPERTY SAL_PROGRAMS_${label})
    list(REMOVE_DUPLICATES programs)
    add_custom_target(tests_${label} DEPENDS ${programs})
  endforeach()
endfunction()

# Criterion's macros are not written for these warnings.
function(sal_test_options target)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/tests)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:C>:-Wno-pedantic -Wno-missing-prototypes -Wno-shadow
                                           -Wno-conversion>)
endfunction()

# sal_test_objects(NAME SOURCES...): sources that several test programs share, compiled once; they link NAME.
function(sal_test_objects name)
  add_library(${name} OBJECT ${ARGN})
  sal_test_options(${name})
endfunction()

# sal_unit_test(NAME LABELS room... [MODULES a b ...] [SUPPORT objects...] [LIBRARIES ...]): the Criterion tests of
# unit/NAME.c on these modules alone.
function(sal_unit_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LABELS;MODULES;SUPPORT;LIBRARIES")
  add_executable(${name} unit/${name}.c)
  sal_test_options(${name})
  target_compile_definitions(${name} PRIVATE SAL_TEST_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                             SAL_TEST_BINARY_DIR="${CMAKE_CURRENT_BINARY_DIR}")
  list(TRANSFORM arg_MODULES PREPEND sal_)
  target_link_libraries(${name} PRIVATE ${arg_MODULES} ${arg_SUPPORT} PkgConfig::CRITERION Threads::Threads m ${arg_LIBRARIES})
  sal_test(${name} COMMAND ${name} LABELS unit ${arg_LABELS})
endfunction()
