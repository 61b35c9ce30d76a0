#include "reprise/tests/cli_program.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

extern char** environ;

namespace cli_test {

namespace fs = std::filesystem;

namespace {

// Limits the files of the processes that are started meanwhile.
class FileLimit {
 public:
  explicit FileLimit(std::uint64_t bytes) : set_(bytes > 0) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    if (set_) setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileLimit() {
    if (set_) setrlimit(RLIMIT_FSIZE, &before_);
  }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;

 private:
  bool set_;
  rlimit before_{};
};

}  // namespace

Program::Program(const std::vector<std::string>& arguments, const Surroundings& surroundings) {
  std::vector<std::string> words = {REPRISE_PROGRAM};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, (output_ / "err").c_str(), O_WRONLY | O_CREAT, 0600);
  int ends[2] = {-1, -1};
  switch (surroundings.out) {
    case Out::read:
      posix_spawn_file_actions_addopen(&actions, 1, (output_ / "out").c_str(), O_WRONLY | O_CREAT, 0600);
      break;
    case Out::full_device:
      posix_spawn_file_actions_addopen(&actions, 1, "/dev/full", O_WRONLY, 0);
      break;
    case Out::closed_pipe:
      if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
      close(ends[0]);
      posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
      break;
    case Out::closed:
      posix_spawn_file_actions_addclose(&actions, 1);
      break;
  }
  if (!surroundings.folder.empty())
    posix_spawn_file_actions_addchdir_np(&actions, surroundings.folder.c_str());
  const FileLimit limit(surroundings.file_bytes);
  const int error = posix_spawn(&pid_, words[0].c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (ends[1] >= 0) close(ends[1]);
  if (error != 0) throw std::runtime_error("cannot run " + words[0]);
}

Program::~Program() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Program::signal(int number) const { kill(pid_, number); }

bool Program::ended() {
  if (pid_ >= 0 && waitpid(pid_, &status_, WNOHANG) == pid_) pid_ = -1;
  return pid_ < 0;
}

Result Program::wait() {
  if (pid_ >= 0) waitpid(pid_, &status_, 0);
  pid_ = -1;
  const int code = WIFEXITED(status_) ? WEXITSTATUS(status_) : 1000 + WTERMSIG(status_);
  return {code, content(output_ / "out"), content(output_ / "err")};
}

Result run(const std::vector<std::string>& arguments, int code) {
  std::string line;
  for (const std::string& word : arguments) line += " " + word;
  INFO("reprise" << line);
  Result result = reprise(arguments);
  INFO(result.out << result.err);
  REQUIRE(result.code == code);
  return result;
}

std::vector<std::string> operator+(std::vector<std::string> words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

void wait_for(const fs::path& file, Program& program) {
  for (int i = 0; i < 60000 && !fs::exists(file) && !program.ended(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  REQUIRE(fs::exists(file));
}

void check_equal_runs(const std::string& a, const std::string& b) {
  const auto files = tree(a), others = tree(b);
  REQUIRE(files.size() == 3);
  REQUIRE(others.size() == files.size());
  for (std::size_t i = 0; i < files.size(); ++i) {
    CHECK(files[i].first == others[i].first);
    INFO(files[i].first);
    CHECK((files[i].second == others[i].second));  // in parentheses: not printed
  }
}

std::string content(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::pair<std::string, std::string>> tree(const fs::path& folder) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files.emplace_back(fs::relative(entry, folder).string(), content(entry));
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace cli_test
