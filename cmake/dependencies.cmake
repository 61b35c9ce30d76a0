# The libraries that Reprise needs, all of them packages of Debian 12 and Debian 13. Nothing is downloaded.

# find_package that names the Debian package to install when something is missing.
macro(reprise_find package debian_package)
  find_package(${package} ${ARGN} QUIET)
  if(NOT ${package}_FOUND)
    message(FATAL_ERROR "Reprise needs ${package}: install the Debian package ${debian_package} "
                        "(sudo apt-get install ${debian_package}); tools/test installs all of them.")
  endif()
endmacro()

set(THREADS_PREFER_PTHREAD_FLAG ON)
reprise_find(Threads libc6-dev)
reprise_find(fmt libfmt-dev)
reprise_find(nlohmann_json nlohmann-json3-dev)
reprise_find(ZLIB zlib1g-dev)
reprise_find(OpenCL ocl-icd-opencl-dev)  # Debian's dnnl is built with it, and its package only recommends it
reprise_find(dnnl libdnnl-dev)
reprise_find(hwy libhwy-dev)
if(NOT REPRISE_STD_THREADS)
  reprise_find(OpenMP g++ COMPONENTS CXX)
endif()
if(REPRISE_PROGRAMS)
  reprise_find(CLI11 libcli11-dev)
  reprise_find(benchmark libbenchmark-dev)
endif()
if(REPRISE_TESTS)
  # Debian 12 has Catch2 2, Debian 13 has Catch2 3: the tests are written for both (tests/catch2_3).
  reprise_find(Catch2 catch2)
endif()
