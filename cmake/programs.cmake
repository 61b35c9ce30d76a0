# The reprise program, the examples and the benchmarks.

file(GLOB sources CONFIGURE_DEPENDS cli/*.cpp)
if(sources)
  add_executable(reprise_cli ${sources})
  # In bin/, since "reprise" beside the library would be two things of one name.
  set_target_properties(reprise_cli PROPERTIES OUTPUT_NAME reprise
                        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin
                        INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
  target_compile_definitions(reprise_cli PRIVATE REPRISE_VERSION="${PROJECT_VERSION}")
  target_link_libraries(reprise_cli PRIVATE reprise reprise_options fmt::fmt nlohmann_json::nlohmann_json CLI11::CLI11)
endif()

# Each file of examples/ is a program of its own, and tests/CMakeLists.txt runs it as a test.
file(GLOB REPRISE_EXAMPLES CONFIGURE_DEPENDS examples/*.cpp)
foreach(source ${REPRISE_EXAMPLES})
  cmake_path(GET source STEM name)
  add_executable(example_${name} ${source})
  set_target_properties(example_${name} PROPERTIES OUTPUT_NAME ${name}
                        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/examples)
  target_link_libraries(example_${name} PRIVATE reprise reprise_options)
endforeach()

file(GLOB sources CONFIGURE_DEPENDS benchmarks/*.cpp)
foreach(source ${sources})
  cmake_path(GET source STEM name)
  add_executable(benchmark_${name} ${source})
  set_target_properties(benchmark_${name} PROPERTIES OUTPUT_NAME ${name}
                        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/benchmarks)
  target_link_libraries(benchmark_${name} PRIVATE reprise reprise_options fmt::fmt benchmark::benchmark)
endforeach()
