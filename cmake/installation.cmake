# cmake --install: the library, its headers, the program, and what find_package(reprise) reads.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/reprise)

# An install stops at the first file that is missing, so what a user's project needs comes first.
# The backends' headers stay inside: programs reach a backend through ops.
install(DIRECTORY core autograd ops checkpoint nn optim data
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/reprise FILES_MATCHING PATTERN "*.h")
install(FILES reprise.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/reprise)
install(TARGETS reprise EXPORT reprise_targets)
install(EXPORT reprise_targets NAMESPACE reprise:: FILE reprise-targets.cmake DESTINATION ${package_dir})

configure_package_config_file(cmake/reprise-config.cmake.in ${PROJECT_BINARY_DIR}/reprise-config.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/reprise-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/reprise-config.cmake ${PROJECT_BINARY_DIR}/reprise-config-version.cmake
        DESTINATION ${package_dir})

# tools/demo builds the library and the program alone. A part that was not built is named and left out.
function(install_if_built target)
  install(TARGETS ${target} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} OPTIONAL
                            LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} OPTIONAL)
  install(CODE "if(NOT EXISTS \"$<TARGET_FILE:${target}>\")
    message(STATUS \"Not installed, because it was not built: ${target}\")
  endif()")
endfunction()
if(TARGET reprise_cli)
  install_if_built(reprise_cli)
endif()
if(TARGET reprise_cuda)
  install_if_built(reprise_cuda)
endif()
