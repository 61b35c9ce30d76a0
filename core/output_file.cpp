#include "reprise/core/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "reprise/core/error.h"

namespace reprise {
namespace {

namespace fs = std::filesystem;

std::string text_of(int error) { return std::generic_category().message(error); }

fs::path folder_of(const std::string& path) {
  const fs::path parent = fs::path(path).parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

// Some file systems cannot sync, and a folder may forbid reading: then there is nothing to wait for.
bool cannot_sync(int error) { return error == EINVAL || error == ENOTSUP || error == EACCES; }

}  // namespace

void OutputFile::fail(int error) const {
  std::error_code ignored;
  const fs::path folder = folder_of(path_);
  if (error == ENOENT && !fs::exists(folder, ignored))
    throw FileError(
        fmt::format("{}: cannot be written: the folder {} does not exist", path_, folder.string()));
  throw FileError(fmt::format("{}: cannot be written: {}", path_, text_of(error)));
}

OutputFile::OutputFile(const std::string& path) : path_(path) {
  if (path.empty()) throw FileError("a file to write needs a name: the path is empty");
  struct stat found {};
  const bool exists = stat(path.c_str(), &found) == 0;
  if (!exists && errno != ENOENT) fail(errno);
  if (exists && S_ISDIR(found.st_mode)) fail(EISDIR);
  if (exists && access(path.c_str(), W_OK) != 0) fail(errno);
  if (exists && !S_ISREG(found.st_mode)) {
    file_ = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file_ < 0) fail(errno);
    return;
  }
  open_beside(exists);
  // A file system without permissions is no reason to lose a result, so a failure here is ignored.
  if (exists) fchmod(file_, found.st_mode & 07777U);
}

void OutputFile::open_beside(bool exists) {
  static std::atomic<unsigned> made = 0;
  std::error_code error;
  target_ = exists ? fs::canonical(path_, error).string() : path_;
  if (error) fail(error.value());
  const fs::path folder = folder_of(target_);
  do {
    partial_ = (folder / fmt::format(".reprise-{}-{}.partial", getpid(), made++)).string();
    file_ = open(partial_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (file_ < 0 && errno == EEXIST);
  if (file_ < 0) fail(errno);
}

OutputFile::~OutputFile() {
  if (file_ >= 0) close(file_);
  if (!partial_.empty()) unlink(partial_.c_str());
}

void OutputFile::write(const void* bytes, std::size_t count) {
  const auto* next = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t written = ::write(file_, next, count);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(errno);
    next += written;
    count -= static_cast<std::size_t>(written);
  }
}

void OutputFile::commit() {
  // A rename is only as good as the bytes that it names: they must be on the disk before.
  if (!partial_.empty() && fsync(file_) != 0 && !cannot_sync(errno)) fail(errno);
  const int file = file_;
  file_ = -1;
  if (close(file) != 0) fail(errno);
  if (partial_.empty()) return;
  if (rename(partial_.c_str(), target_.c_str()) != 0) fail(errno);
  partial_.clear();
  sync_folder(folder_of(target_).string());
}

void sync_folder(const std::string& path) {
  const int folder = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int result = folder < 0 ? -1 : fsync(folder);
  const int error = errno;
  if (folder >= 0) close(folder);
  if (result != 0 && !cannot_sync(error))
    throw FileError(fmt::format("{}: cannot be brought to the disk: {}", path, text_of(error)));
}

void replace_file(const std::string& path, std::string_view content) {
  OutputFile file(path);
  file.write(content);
  file.commit();
}

void check_writable(const std::string& path) {
  struct stat found {};
  // To open a pipe would wait for its reader.
  const bool pipe = stat(path.c_str(), &found) == 0 && S_ISFIFO(found.st_mode);
  if (!pipe) const OutputFile probe(path);
}

}  // namespace reprise
