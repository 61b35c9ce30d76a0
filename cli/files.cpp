#include "reprise/cli/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "reprise/core/error.h"

namespace reprise::cli {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, const std::string& what) {
  throw FileError(fmt::format("{}: {}", path.string(), what));
}

// A rename is only as good as what it names: the bytes must be on the disk before.
void sync(const fs::path& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail(path, fmt::format("cannot be opened: {}", std::strerror(errno)));
  const int result = fsync(file);
  const int error = errno;
  close(file);
  // Some file systems cannot sync a folder (EINVAL): there is nothing to wait for then.
  if (result != 0 && error != EINVAL)
    fail(path, fmt::format("cannot be brought to the disk: {}", std::strerror(error)));
}

void put_in_place(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) fail(to, fmt::format("cannot be put in place: {}", error.message()));
  sync(to.has_parent_path() ? to.parent_path() : fs::path("."));
}

}  // namespace

void replace_file(const fs::path& path, std::string_view content) {
  fs::path aside = path;
  aside += ".partial";
  {
    std::ofstream out(aside, std::ios::binary | std::ios::trunc);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
    out.close();
    if (!out) fail(path, fmt::format("cannot be written: {}", std::strerror(errno)));
  }
  sync(aside);
  put_in_place(aside, path);
}

void make_folder(const fs::path& path, const std::function<void(const fs::path&)>& fill) {
  fs::path aside = path;
  aside += ".partial";
  std::error_code error;
  if (fs::exists(path, error)) fail(path, "is there already");
  fs::remove_all(aside, error);  // of a run that was killed
  fs::create_directories(aside, error);
  if (error) fail(aside, fmt::format("cannot be made: {}", error.message()));
  fill(aside);
  for (const auto& entry : fs::recursive_directory_iterator(aside)) sync(entry.path());
  sync(aside);
  put_in_place(aside, path);
}

std::string read_file(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) fail(path, "no such file");
  std::ifstream in(path, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(in), {}};
  if (!in) fail(path, "cannot be read");
  return content;
}

}  // namespace reprise::cli
