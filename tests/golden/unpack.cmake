# cmake -DFROM=FOLDER -DTO=FOLDER -P unpack.cmake: TO gets what is in FROM's .zip files, and FROM's refused.txt.
file(REMOVE_RECURSE ${TO})
file(GLOB archives ${FROM}/*.zip)
foreach(archive IN LISTS archives)
  file(ARCHIVE_EXTRACT INPUT ${archive} DESTINATION ${TO})
endforeach()
file(COPY ${FROM}/refused.txt DESTINATION ${TO})
