#pragma once
// Runs the program `reprise` as a user would.
#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "reprise/tests/temporary_folder.h"

namespace cli_test {

struct Result {
  int code = 0;  // exit code, or 1000 + the signal that ended it
  std::string out, err;
};

// A process under way; its destructor ends it.
class Program {
 public:
  explicit Program(const std::vector<std::string>& arguments);
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

inline Result reprise(const std::vector<std::string>& arguments) { return Program(arguments).wait(); }

std::string content(const std::filesystem::path& file);

// The files of a folder and below, by name, with their content.
std::vector<std::pair<std::string, std::string>> tree(const std::filesystem::path& folder);

}  // namespace cli_test
