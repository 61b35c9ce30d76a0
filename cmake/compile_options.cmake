# How everything in the tree is compiled: the target reprise_options.

# Release carries no -march: kernels that need an instruction set are compiled for several and chosen at run time.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug or Release" FORCE)
endif()
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT DEFINED CMAKE_COMPILE_WARNING_AS_ERROR AND NOT REPRISE_SANITIZE)
  set(CMAKE_COMPILE_WARNING_AS_ERROR ON)  # with sanitizers g++ 12 warns of what cannot happen
endif()

# "reprise/core/tensor.h" works in the tree through this link, and installed through the install rules.
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/include)
file(CREATE_LINK ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/include/reprise SYMBOLIC)

add_library(reprise_options INTERFACE)
target_include_directories(reprise_options INTERFACE ${PROJECT_BINARY_DIR}/include)
target_compile_options(reprise_options INTERFACE -Wall -Wextra -Wconversion -fno-semantic-interposition)
if(REPRISE_SANITIZE)
  set(sanitize -fsanitize=${REPRISE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_compile_options(reprise_options INTERFACE ${sanitize})
  target_link_options(reprise_options INTERFACE ${sanitize})
endif()
if(REPRISE_LIBFUZZER)
  target_compile_options(reprise_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
