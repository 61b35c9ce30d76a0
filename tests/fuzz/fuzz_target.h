#pragma once
// A fuzz target: one reader, and files that it reads. entry.cpp makes libFuzzer's LLVMFuzzerTestOneInput of it.
#include <string>
#include <string_view>
#include <vector>

namespace reprise::fuzz {

// Each target defines these two.
//
// Reads the bytes as a file of its kind and uses what it read. An Error of Reprise is an answer; any other exception, a crash
// or a finding of a sanitizer is a failure.
void read_input(std::string_view bytes);
// Small files of the kind, as Reprise or other programs write them: where mutations begin.
std::vector<std::string> seeds();

// The bytes as a regular file without a disk, for readers that take a path. It ends with the object.
class InputFile {
 public:
  explicit InputFile(std::string_view bytes);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  int file_;
  std::string path_;
};

// The content of the file that `write(path)` makes.
template <class Write>
std::string written(Write&& write);
std::string content_of(const std::string& path);

// Ends the process with a message: the library's answer contradicts itself.
void require(bool holds, const char* what);

}  // namespace reprise::fuzz

#include "reprise/tests/temporary_folder.h"

template <class Write>
std::string reprise::fuzz::written(Write&& write) {
  const TemporaryFolder folder;
  const std::string path = folder / "seed";
  write(path);
  return content_of(path);
}
