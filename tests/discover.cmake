# Run by ctest at its start: one entry for each test file of `binary`. `tags`, when not empty, are the only Catch2 tags
# to run. Catch2's --filenames-as-tags gives each test case the tag [#file] of its file.
#
# The tests run with OMP_WAIT_POLICY=passive since several share the cores.

# The files that hold a test case which `filter` selects.
function(files_with filter result)
  execute_process(COMMAND ${binary} --filenames-as-tags --list-tags ${filter} OUTPUT_VARIABLE listing)
  if(NOT listing MATCHES "[0-9]+ tag")  # its exit code is that number
    message(FATAL_ERROR "${binary} --list-tags does not work: ${listing}")
  endif()
  string(REGEX MATCHALL "\\[#[^]]+\\]" found "${listing}")
  string(REGEX REPLACE "\\[#([^]]+)\\]" "\\1" found "${found}")
  set(${result} ${found} PARENT_SCOPE)
endfunction()

# A filter that selects nothing is a failure: Catch2 2 is asked for that, and Catch2 3 always behaves so.
set(no_tests_fail)
if(catch2_version VERSION_LESS 3)
  set(no_tests_fail --warn NoTests)
endif()

function(add_file_test name filter)
  add_test(${name} ${binary} --filenames-as-tags ${no_tests_fail} ${filter})
  set_tests_properties(${name} PROPERTIES ENVIRONMENT "OMP_WAIT_POLICY=passive" ${ARGN})
endfunction()

if(NOT EXISTS ${binary})
  add_test(reprise_tests_not_built ${binary})
  return()
endif()

if(tags)
  foreach(tag ${tags})
    files_with("${tag}~[slow]" files)
    foreach(file ${files})
      list(APPEND filter_of_${file} "[#${file}]${tag}~[slow]")
      list(APPEND tagged_files ${file})
    endforeach()
  endforeach()
  list(REMOVE_DUPLICATES tagged_files)
  foreach(file ${tagged_files})
    list(JOIN filter_of_${file} "," filter)
    add_file_test(${file} ${filter} TIMEOUT 900)
  endforeach()
  return()
endif()

files_with("~[slow]" files)
foreach(file ${files})
  add_file_test(${file} "[#${file}]~[slow]" TIMEOUT 600)
  if(file MATCHES "^cli_")
    set_tests_properties(${file} PROPERTIES LABELS cli)
  endif()
endforeach()
files_with("[slow]" files)
foreach(file ${files})
  add_file_test(${file}.slow "[#${file}][slow]" LABELS slow TIMEOUT 3600)
endforeach()
