#pragma once
// Standard output of the program. A failed write never throws here: a training run whose terminal has gone still
// ends and is saved. The program's exit code then says that nobody got the results.
#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace reprise::cli {

void write_output(std::string_view text);
void flush_output();

template <class... Values>
void say(fmt::format_string<Values...> format, Values&&... values) {
  write_output(fmt::format(format, std::forward<Values>(values)...));
}

// FileError if something could not be written, with the system's reason. For commands whose only result is their
// output: they need not go on. Flushes.
void check_output();

// Opens standard input, output and error if the caller closed them, so that no other file gets their numbers.
// Makes writes to a closed pipe or beyond a file size limit fail instead of ending the process.
void prepare_output();

}  // namespace reprise::cli
