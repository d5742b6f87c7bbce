foreach(name test_onnx_cases test_onnx_damage)
  sal_unit_test(${name} LABELS import MODULES base graph import SUPPORT graph_builder naive_graph)
endforeach()
sal_unit_test(test_keras_hdf5 LABELS import MODULES base graph import LIBRARIES PkgConfig::JANSSON)
# The library's side alone: the test has a reader of its own, in a fork.
sal_unit_test(test_keras_answers LABELS import MODULES base LIBRARIES PkgConfig::JANSSON PkgConfig::ZIP)
target_sources(test_keras_answers PRIVATE ${PROJECT_SOURCE_DIR}/src/import/hdf5/weight_file.c ${PROJECT_SOURCE_DIR}/src/import/hdf5/questions.c
                                          ${PROJECT_SOURCE_DIR}/src/import/hdf5/reader/serve.c ${PROJECT_SOURCE_DIR}/tests/fuzz/forked_program.c)
sal_unit_test(test_hdf5_program LABELS import MODULES base graph import LIBRARIES PkgConfig::JANSSON -Wl,--wrap=setsockopt)
