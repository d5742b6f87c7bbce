# What once went wrong goes well: the crashers of every fuzz target and its corpus, with any compiler and without libFuzzer.
include(fuzz/program.cmake)

function(sal_fuzz_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "MUTATOR" "LABELS;SOURCES;MODULES;OBJECTS;LIBRARIES;CRASHERS")
  set(folder ${PROJECT_SOURCE_DIR}/tests/fuzz)
  sal_fuzz_executable(replay_${name} ${name} ${folder}/replay.c)
  set(SAL_FUZZ_LAST replay_${name} PARENT_SCOPE)

  set(corpus ${CMAKE_CURRENT_BINARY_DIR}/fuzz_corpus/${name})
  add_custom_command(
    OUTPUT ${corpus}.unpacked
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${corpus}
    COMMAND ${SAL_PYTHON} ${folder}/corpus.py unpack ${folder}/corpus/${name}.zip ${corpus}
    COMMAND ${CMAKE_COMMAND} -E touch ${corpus}.unpacked
    DEPENDS ${folder}/corpus.py ${folder}/corpus/${name}.zip
    VERBATIM)
  add_custom_target(fuzz_corpus_${name} ALL DEPENDS ${corpus}.unpacked)

  list(TRANSFORM arg_CRASHERS PREPEND ${folder}/crashers/)
  if(EXISTS ${folder}/crashers/${name})
    list(APPEND arg_CRASHERS ${folder}/crashers/${name})
  endif()
  # libhdf5 itself breaks down over some, in its own process: a sanitizer reports that where it looks at all processes.
  if(SAL_SANITIZE AND name STREQUAL "keras_file")
    list(APPEND arg_LABELS slow)
  endif()
  sal_test(replay_${name} COMMAND replay_${name} ${corpus} ${arg_CRASHERS} LABELS unit ${arg_LABELS}
           PROGRAMS fuzz_corpus_${name} PROPERTIES TIMEOUT 120)
endfunction()

include(fuzz/targets.cmake)
