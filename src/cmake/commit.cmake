# cmake -DSOURCE=DIR -DOUTPUT=FILE.c -P commit.cmake: writes which commit the sources are of, where DIR is a checkout of git; the
# file stays as it is where it says so already, so that nothing is compiled again.

function(git out)
  execute_process(COMMAND git -c safe.directory=* -C "${SOURCE}" ${ARGN} OUTPUT_VARIABLE text ERROR_QUIET RESULT_VARIABLE status
                  OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT status EQUAL 0)
    set(text "")
  endif()
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

# Sources that were unpacked inside another project's checkout are not of its commits.
set(commit "")
git(top rev-parse --show-toplevel)
file(REAL_PATH "${SOURCE}" source)
if(top STREQUAL source)
  git(commit rev-parse --short=12 HEAD)
endif()
if(commit)
  git(changes status --porcelain --untracked-files=no)
  if(changes)
    string(APPEND commit ", with changes")
  endif()
  set(commit "\"${commit}\"")
else()
  set(commit NULL)
endif()

set(text "#include \"cli/version.h\"\n\n#include <stddef.h>\n\nconst char *const cli_commit = ${commit};\n")
set(before "")
if(EXISTS "${OUTPUT}")
  file(READ "${OUTPUT}" before)
endif()
if(NOT before STREQUAL text)
  file(WRITE "${OUTPUT}" "${text}")
endif()
