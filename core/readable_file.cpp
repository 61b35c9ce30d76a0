#include "reprise/core/readable_file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "reprise/core/error.h"

namespace reprise {
namespace {

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

}  // namespace

void check_readable(const std::string& path) {
  struct stat found {};
  if (stat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) throw FileError(fmt::format("{}: no such file", path));
    throw FileError(fmt::format("{}: cannot be read: {}", path, std::generic_category().message(errno)));
  }
  if (!S_ISREG(found.st_mode))
    throw FileError(
        fmt::format("{}: is {}, not a file: give the path of a file", path, kind_of(found.st_mode)));
  if (access(path.c_str(), R_OK) != 0)
    throw FileError(fmt::format("{}: cannot be read: {}", path, std::generic_category().message(errno)));
}

}  // namespace reprise
