#include "reprise/cli/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>

#include "reprise/cli/options.h"
#include "reprise/core/output_file.h"

namespace reprise::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLockFile = ".reprise-lock";
constexpr std::string_view kPartialPrefix = ".reprise-", kPartialSuffix = ".partial";  // OutputFile's

[[noreturn]] void fail(const fs::path& path, std::string_view what, int error) {
  throw FileError(fmt::format("{}: {}: {}", path.string(), what, std::generic_category().message(error)));
}

// Was this file of a step's folder written by a save?
bool is_of_a_save(const std::string& name) {
  return name == kStateFile || name == kWeightsFile || name == kOptimizerFile || name == kTokenizerFile ||
         (name.starts_with(kPartialPrefix) && name.ends_with(kPartialSuffix));
}

}  // namespace

bool is_step_folder(const std::string& name) {
  constexpr std::string_view kPrefix = "step-";
  return name.starts_with(kPrefix) && name.size() > kPrefix.size() &&
         name.find_first_not_of("0123456789-", kPrefix.size()) == std::string::npos;
}

std::string current_step_folder(const fs::path& folder) {
  try {
    std::ifstream file(folder / kStateFile, std::ios::binary);
    const auto name = nlohmann::json::parse(file).at("folder").get<std::string>();
    return is_step_folder(name) ? name : std::string();
  } catch (const nlohmann::json::exception&) {
    return {};
  }
}

RunFolder::RunFolder(const std::string& path, Existing existing) : root_(path) {
  make();
  const fs::path state = root_ / kStateFile;
  std::error_code error;
  const fs::file_type type = fs::symlink_status(state, error).type();
  const bool is_there = type != fs::file_type::not_found && type != fs::file_type::none;
  if (is_there && existing == Existing::refuse)
    throw UsageError(fmt::format(
        "--save {}: a saved run is there already: --resume {} goes on with it, --overwrite replaces it", path,
        path));
  if (is_there && fs::is_directory(state, error))
    throw FileError(fmt::format("{}: is a folder, not the state of a saved run", state.string()));
  lock();
  current_ = current_step_folder(root_);
  // A process that was killed while it saved has left one of these.
  std::istringstream left(read_journal());
  for (std::string name; left >> name;)
    if (is_step_folder(name) && name != current_) remove_step(name);
  try {
    write_journal("");
  } catch (const FileError&) {
    release();
    throw;
  }
}

RunFolder::~RunFolder() { release(); }

void RunFolder::make() {
  struct stat found {};
  if (stat(root_.c_str(), &found) == 0) {
    if (!S_ISDIR(found.st_mode)) fail(root_, "a run cannot be saved here", ENOTDIR);
    return;
  }
  std::error_code error;
  fs::create_directories(root_, error);
  if (error) fail(root_, "the folder cannot be made", error.value());
  made_ = true;
}

// The lock is the system's (flock), so that it ends with the process. The file's content is for people, and for the
// process that comes after one that was killed.
void RunFolder::lock() {
  const std::string path = (root_ / kLockFile).string();
  for (;;) {
    lock_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock_ < 0) fail(root_, "a run cannot be saved here", errno);
    const bool locked = flock(lock_, LOCK_EX | LOCK_NB) == 0;
    if (!locked && errno == EWOULDBLOCK) {
      close(lock_);
      lock_ = -1;
      throw FileError(
          fmt::format("{}: another process saves a run here: wait until it ends, or save into another folder",
                      root_.string()));
    }
    // A file system without locks gives another error: then nobody is refused. The process before may have removed the
    // file that was just opened; then there is a new one to lock.
    struct stat opened {
    }, named{};
    if (fstat(lock_, &opened) == 0 && stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
        opened.st_dev == named.st_dev)
      return;
    close(lock_);
    lock_ = -1;
  }
}

void RunFolder::release() {
  if (lock_ >= 0) {
    unlink((root_ / kLockFile).c_str());
    close(lock_);
    lock_ = -1;
  }
  if (made_ && current_.empty()) rmdir(root_.c_str());  // fails if something is in it
}

std::string RunFolder::read_journal() const {
  std::array<char, 256> text{};
  const ssize_t got = pread(lock_, text.data(), text.size(), 0);
  const std::string line(text.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  constexpr std::string_view kWriting = "writing ";
  const std::size_t at = line.find(kWriting);
  return at == std::string::npos ? std::string() : line.substr(at + kWriting.size());
}

void RunFolder::write_journal(const std::string& folders) {
  const std::string text = folders.empty() ? fmt::format("process {}\n", getpid())
                                           : fmt::format("process {} writing {}\n", getpid(), folders);
  errno = 0;
  const bool written = pwrite(lock_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
  if (!written || ftruncate(lock_, static_cast<off_t>(text.size())) != 0)
    fail(root_, "a run cannot be saved here", errno != 0 ? errno : ENOSPC);
}

void RunFolder::remove_step(const std::string& name) const {
  const fs::path folder = root_ / name;
  std::error_code ignored;
  if (fs::is_symlink(folder, ignored)) return;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (is_of_a_save(entry.path().filename().string())) files.push_back(entry.path());
  for (const fs::path& file : files) unlink(file.c_str());
  rmdir(folder.c_str());  // fails if something of the user's is in it
}

void RunFolder::save(std::int64_t step, const std::function<void(const fs::path& folder)>& fill,
                     const std::function<std::string(const std::string& name)>& state) {
  std::string name = fmt::format("step-{}", step);
  std::error_code error;
  for (int i = 2; fs::exists(fs::symlink_status(root_ / name, error)); ++i)
    name = fmt::format("step-{}-{}", step, i);
  write_journal(name + " " + current_);
  const fs::path folder = root_ / name;
  if (mkdir(folder.c_str(), 0777) != 0) fail(folder, "the folder cannot be made", errno);
  try {
    fill(folder);
    replace_file((folder / kStateFile).string(), state(name));
    sync_folder(folder.string());
    fs::rename(folder / kStateFile, root_ / kStateFile, error);
    if (error) fail(root_ / kStateFile, "cannot be put in place", error.value());
  } catch (...) {
    remove_step(name);
    throw;
  }
  const std::string before = current_;
  current_ = name;
  sync_folder(root_.string());
  if (!before.empty()) remove_step(before);
  write_journal("");
}

}  // namespace reprise::cli
