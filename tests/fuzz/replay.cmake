# Inputs of the fuzz targets that once went wrong, with any compiler.
add_executable(replay_keras fuzz/replay.c fuzz/fuzz_keras.c
                            "$<FILTER:$<TARGET_OBJECTS:sal_import>,EXCLUDE,keras_(hdf5|archive|member)>")
target_link_libraries(replay_keras PRIVATE sal_base sal_graph PkgConfig::PROTOBUF_C PkgConfig::JANSSON Threads::Threads m)
target_include_directories(replay_keras PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
target_include_directories(replay_keras SYSTEM PRIVATE ${PROJECT_BINARY_DIR}/src/import)
target_compile_options(replay_keras PRIVATE -Wno-missing-prototypes)
sal_test(replay_keras COMMAND replay_keras ${PROJECT_SOURCE_DIR}/tests/fuzz/crashers/keras LABELS unit import
         PROPERTIES TIMEOUT 60)
