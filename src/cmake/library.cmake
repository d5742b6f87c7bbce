# libsalmap from the modules' objects, static and shared; salmap_internal is for the program and the tests. Included after src/.

file(STRINGS include/salmap/salmap.h version_lines REGEX "^#define SALMAP_VERSION_(MAJOR|MINOR|PATCH) ")
string(REGEX MATCHALL "[0-9]+" version_numbers "${version_lines}")
list(JOIN version_numbers "." header_version)
if(NOT header_version VERSION_EQUAL PROJECT_VERSION)
  message(FATAL_ERROR "salmap.h says version ${header_version}, CMakeLists.txt ${PROJECT_VERSION}")
endif()

set(objects "")
foreach(module IN LISTS SAL_MODULES)
  list(APPEND objects $<TARGET_OBJECTS:sal_${module}>)
endforeach()

# Installed targets name their libraries as the linker does: a path found on
# this machine, or a target of a find module, would bind the package to it.
function(sal_library target kind)
  add_library(${target} ${kind} ${ARGN})
  add_library(salmap::${target} ALIAS ${target})
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                              $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(
    ${target} PRIVATE $<BUILD_INTERFACE:PNG::PNG> $<BUILD_INTERFACE:JPEG::JPEG> $<BUILD_INTERFACE:TIFF::TIFF>
                      $<BUILD_INTERFACE:PkgConfig::PROTOBUF_C> $<BUILD_INTERFACE:${DNNL_LIBRARY}>
                      $<BUILD_INTERFACE:PkgConfig::SQLITE> $<BUILD_INTERFACE:PkgConfig::CRYPTO>
                      $<BUILD_INTERFACE:PkgConfig::ZIP> $<BUILD_INTERFACE:PkgConfig::JANSSON>
                      $<BUILD_INTERFACE:PkgConfig::CAIRO>
                      $<BUILD_INTERFACE:${DEFLATE_LIBRARY}> $<BUILD_INTERFACE:${CMAKE_DL_LIBS}>
                      $<BUILD_INTERFACE:OpenMP::OpenMP_C> $<BUILD_INTERFACE:Threads::Threads> $<BUILD_INTERFACE:stdc++>
                      $<BUILD_INTERFACE:m>)
  if(SAL_HAVE_CUDA)
    list(TRANSFORM SAL_CUDA_LIBRARIES REPLACE "(.+)" "$<BUILD_INTERFACE:\\1>" OUTPUT_VARIABLE cuda_libraries)
    target_link_libraries(${target} PRIVATE ${cuda_libraries})
    add_dependencies(${target} sal_cuda_compile)
  endif()
  set_target_properties(${target} PROPERTIES OUTPUT_NAME salmap LINKER_LANGUAGE C)
endfunction()

# An OpenMP library outside of the linker's own folders can only be named by its path.
set(openmp_libraries "")
foreach(name IN LISTS OpenMP_C_LIB_NAMES)
  get_filename_component(dir "${OpenMP_${name}_LIBRARY}" DIRECTORY)
  if(dir IN_LIST CMAKE_C_IMPLICIT_LINK_DIRECTORIES)
    list(APPEND openmp_libraries ${name})
  else()
    list(APPEND openmp_libraries ${OpenMP_${name}_LIBRARY})
  endif()
endforeach()
set(SAL_PRIVATE_LIBRARIES png jpeg tiff protobuf-c sqlite3 crypto zip jansson cairo fontconfig deflate dnnl ${openmp_libraries} ${SAL_CUDA_INSTALLED} stdc++ dl m)
list(REMOVE_DUPLICATES SAL_PRIVATE_LIBRARIES)

# The objects as they are: the tests look inside.
sal_library(salmap_internal STATIC ${objects})
set_target_properties(salmap_internal PROPERTIES OUTPUT_NAME salmap_internal)

# One object that shows others the public functions alone: a function of the user's may be called like one of ours.
set(sealed ${PROJECT_BINARY_DIR}/salmap_sealed.o)
add_custom_command(
  OUTPUT ${sealed}
  COMMAND ${CMAKE_LINKER} -r -o ${sealed} --whole-archive $<TARGET_FILE:salmap_internal>
  COMMAND ${CMAKE_OBJCOPY} --wildcard --localize-hidden "--keep-global-symbol=sal_*" ${sealed}
  DEPENDS salmap_internal
  VERBATIM)
sal_library(salmap_static STATIC ${sealed})
target_link_libraries(salmap_static INTERFACE "$<INSTALL_INTERFACE:${SAL_PRIVATE_LIBRARIES}>")
set_target_properties(salmap_static PROPERTIES EXPORT_NAME salmap_static)

sal_library(salmap_shared SHARED ${objects})
add_library(salmap::salmap ALIAS salmap_shared)
set_target_properties(salmap_shared PROPERTIES EXPORT_NAME salmap VERSION ${PROJECT_VERSION}
                                               SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
# Compilers add symbols of their own that -fvisibility=hidden does not reach.
set(exports ${CMAKE_CURRENT_LIST_DIR}/exports.map)
target_link_options(salmap_shared PRIVATE -Wl,--version-script,${exports})
set_property(TARGET salmap_shared APPEND PROPERTY LINK_DEPENDS ${exports})
if(NOT SAL_SANITIZE)
  # Sanitizer runtimes are resolved in the program only.
  target_link_options(salmap_shared PRIVATE -Wl,--no-undefined -Wl,--as-needed)
endif()
