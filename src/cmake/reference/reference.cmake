# The target "reference": the reference of the public headers as web pages, by Doxygen, in the build folder. It fails where
# something public has no comment.
find_program(DOXYGEN_EXECUTABLE doxygen)
find_package(Python3 COMPONENTS Interpreter QUIET)
set(reference_dir ${PROJECT_BINARY_DIR}/reference)
set(reference_doxyfile ${reference_dir}/Doxyfile)
configure_file(${CMAKE_CURRENT_LIST_DIR}/Doxyfile.in ${reference_doxyfile} @ONLY)
if(DOXYGEN_EXECUTABLE AND Python3_FOUND)
  add_custom_target(
    reference
    COMMAND ${DOXYGEN_EXECUTABLE} ${reference_doxyfile}
    COMMAND ${CMAKE_COMMAND} -E echo "${reference_dir}/html/index.html"
    VERBATIM)
else()
  add_custom_target(
    reference
    COMMAND ${CMAKE_COMMAND} -E echo "the reference is made with doxygen and Python 3: scripts/setup.sh --checks installs them"
    COMMAND ${CMAKE_COMMAND} -E false
    VERBATIM)
endif()
