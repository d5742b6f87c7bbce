# Every fuzz target, for whoever defines sal_fuzz_program(NAME LABELS room... [SOURCES ...] [MODULES a b ...]
# [OBJECTS ...] [LIBRARIES ...] [CRASHERS folder...] [MUTATOR source]): fuzz_NAME.c and support.c with the modules named,
# nothing else.
#   LABELS    rooms of the test that replays the crashers
#   CRASHERS  folders below crashers/ beside NAME
#   MUTATOR   for libFuzzer alone
sal_fuzz_program(onnx LABELS import MODULES base graph import)
# Without what reads the files: the target has functions of its own of the same names.
sal_fuzz_program(keras LABELS import MODULES base graph LIBRARIES PkgConfig::PROTOBUF_C PkgConfig::JANSSON
                 OBJECTS "$<FILTER:$<TARGET_OBJECTS:sal_import>,EXCLUDE,/hdf5/[a-z0-9_]+[.]c|/keras/archive[.]c>")
# With a fork in the place of the program salmap-hdf5, for speed, and so that what it runs through counts.
sal_fuzz_program(keras_file LABELS import SOURCES forked_program.c MODULES base graph hdf5_reader CRASHERS hdf5
                 LIBRARIES PkgConfig::PROTOBUF_C PkgConfig::HDF5 PkgConfig::JANSSON PkgConfig::ZIP
                 OBJECTS "$<FILTER:$<TARGET_OBJECTS:sal_import>,EXCLUDE,/hdf5/program[.]c>")
sal_fuzz_program(picture LABELS image MODULES base image)
sal_fuzz_program(sidecar LABELS image MODULES base image)
sal_fuzz_program(csv LABELS dataset MODULES base dataset)
sal_fuzz_program(gpu_profile LABELS api MODULES base LIBRARIES PkgConfig::JANSSON
                 OBJECTS "$<FILTER:$<TARGET_OBJECTS:sal_api>,INCLUDE,gpu_(profile|texts)>")
set(run_database SOURCES run_database.c MODULES base dataset results LIBRARIES PkgConfig::SQLITE PkgConfig::JANSSON
                 MUTATOR run_mutator.c)
sal_fuzz_program(export LABELS results ${run_database})
sal_fuzz_program(merge LABELS results ${run_database})
sal_fuzz_program(resume LABELS results ${run_database})
# cuDNN's functions are the target's own: its headers are enough.
if(SAL_HAVE_CUDA)
  sal_fuzz_program(plan_cache LABELS cuda MODULES base graph
                   OBJECTS "$<FILTER:$<TARGET_OBJECTS:sal_cuda>,INCLUDE,(plan_cache|cudnn_graph|cudnn_describe)>")
  target_include_directories(${SAL_FUZZ_LAST} PRIVATE ${PROJECT_SOURCE_DIR}/cuda)
  target_include_directories(${SAL_FUZZ_LAST} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS} ${CUDNN_INCLUDE_DIR})
endif()
