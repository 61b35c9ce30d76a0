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

# Each file of `folder` is a program of its own; `sources` is set to their list.
function(add_programs folder target_prefix sources)
  file(GLOB found CONFIGURE_DEPENDS ${folder}/*.cpp)
  foreach(source ${found})
    cmake_path(GET source STEM name)
    add_executable(${target_prefix}_${name} ${source})
    set_target_properties(${target_prefix}_${name} PROPERTIES OUTPUT_NAME ${name}
                          RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${folder})
    target_link_libraries(${target_prefix}_${name} PRIVATE reprise reprise_options ${ARGN})
  endforeach()
  set(${sources} ${found} PARENT_SCOPE)
endfunction()

add_programs(examples example REPRISE_EXAMPLES)  # tests/CMakeLists.txt runs each as a test
add_programs(benchmarks benchmark benchmarks fmt::fmt benchmark::benchmark)
if(TARGET reprise_optimum)
  target_link_libraries(benchmark_planner_optimum PRIVATE reprise_optimum)
else()
  set_target_properties(benchmark_planner_optimum PROPERTIES EXCLUDE_FROM_ALL TRUE)
endif()
