#pragma once
// Runs the program `reprise` as a user would.
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "reprise/tests/temporary_folder.h"

namespace cli_test {

struct Result {
  int code = 0;  // exit code, or 1000 + the signal that ended it
  std::string out, err;
};

// Takes the standard output: Result::out, or something that loses it.
enum class Out { read, full_device, closed_pipe, closed };

struct Surroundings {
  std::string folder = {};  // the current one of the process; empty: that of the tests
  Out out = Out::read;
  std::uint64_t file_bytes = 0;  // no file may grow beyond it, as on a full disk; 0: no limit
};

// A process under way; its destructor ends it.
class Program {
 public:
  explicit Program(const std::vector<std::string>& arguments, const Surroundings& surroundings = {});
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  void signal(int number) const;
  bool ended();
  Result wait();

 private:
  TemporaryFolder output_;
  pid_t pid_ = -1;
  int status_ = 0;
};

inline Result reprise(const std::vector<std::string>& arguments, const Surroundings& surroundings = {}) {
  return Program(arguments, surroundings).wait();
}

// As `reprise`, with the exit code that the test requires.
Result run(const std::vector<std::string>& arguments, int code = 0);

std::vector<std::string> operator+(std::vector<std::string> words, const std::vector<std::string>& more);

std::string content(const std::filesystem::path& file);

// Waits until the file exists; requires that the program has not ended before.
void wait_for(const std::filesystem::path& file, Program& program);

// The files of a folder and below, by name, with their content.
std::vector<std::pair<std::string, std::string>> tree(const std::filesystem::path& folder);

// Requires that two folders of saved runs have the same files with the same content, and nothing else.
void check_equal_runs(const std::string& a, const std::string& b);

}  // namespace cli_test
