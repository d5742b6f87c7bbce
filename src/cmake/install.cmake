# Install rules: headers, libraries, program with its documents, CMake package, pkg-config file.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/salmap)

# The program lies at the top of the build folder, where people look for it.
set_target_properties(salmap PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})

install(FILES include/salmap/salmap.h include/salmap/plan.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/salmap)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(TARGETS salmap_static salmap_shared EXPORT salmapTargets)
install(TARGETS salmap)
install(TARGETS salmap-hdf5 salmap-picture DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/salmap)
install(FILES data/man/salmap.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES data/completions/salmap.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME salmap)
install(FILES data/completions/_salmap DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES data/completions/salmap.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

install(DIRECTORY data/schema DESTINATION ${CMAKE_INSTALL_DATADIR}/salmap)

install(EXPORT salmapTargets NAMESPACE salmap:: DESTINATION ${package_dir})
configure_package_config_file(src/cmake/salmapConfig.cmake.in ${PROJECT_BINARY_DIR}/salmapConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
# Before 1.0 a minor version may break its users.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/salmapConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/salmapConfig.cmake ${PROJECT_BINARY_DIR}/salmapConfigVersion.cmake
        DESTINATION ${package_dir})

# The prefix is told from where the file lies: it may be chosen at install time.
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR} OR IS_ABSOLUTE ${CMAKE_INSTALL_INCLUDEDIR})
  set(pc_prefix ${CMAKE_INSTALL_PREFIX})
else()
  file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  string(REGEX REPLACE "/$" "" up "${up}")
  set(pc_prefix "\${pcfiledir}/${up}")
endif()
set(pc_libdir ${CMAKE_INSTALL_LIBDIR})
set(pc_includedir ${CMAKE_INSTALL_INCLUDEDIR})
foreach(dir pc_libdir pc_includedir)
  if(NOT IS_ABSOLUTE ${${dir}})
    set(${dir} "\${prefix}/${${dir}}")
  endif()
endforeach()
# By their names, not as Requires.private: that asks for the development packages of all that the shared libraries were built with.
set(pc_libs_private ${SAL_PRIVATE_LIBRARIES})
list(TRANSFORM pc_libs_private PREPEND "-l" REGEX "^[^/]")
list(JOIN pc_libs_private " " pc_libs_private)
configure_file(src/cmake/salmap.pc.in ${PROJECT_BINARY_DIR}/salmap.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/salmap.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
