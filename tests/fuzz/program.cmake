# sal_fuzz_executable(EXECUTABLE NAME SOURCE...): what a target of targets.cmake is made of, from sal_fuzz_program's arguments,
# arg_*. Beside it the sources that have the function main.
function(sal_fuzz_executable executable name)
  set(folder ${PROJECT_SOURCE_DIR}/tests/fuzz)
  list(TRANSFORM arg_SOURCES PREPEND ${folder}/)
  list(TRANSFORM arg_MODULES PREPEND sal_)
  add_executable(${executable} ${folder}/fuzz_${name}.c ${folder}/support.c ${arg_SOURCES} ${arg_OBJECTS} ${ARGN})
  target_link_libraries(${executable} PRIVATE ${arg_MODULES} ${arg_LIBRARIES} Threads::Threads m)
  target_include_directories(${executable} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  target_include_directories(${executable} SYSTEM PRIVATE ${PROJECT_BINARY_DIR}/src/import)
endfunction()
