#pragma once
// A file that is either completely written or unchanged. Every file that Reprise writes is written by this class.
//
// The bytes go into a temporary file beside the target. `commit` brings them to the disk and renames the
// temporary file. A full disk, an error or a killed process therefore never damages an older file.
#include <cstddef>
#include <string>
#include <string_view>

namespace reprise {

class OutputFile {
 public:
  // Makes the temporary file, named .reprise-PROCESS-N.partial, in the target's folder. A symbolic link is followed,
  // and the file that it names is replaced. An existing target keeps its permissions. A pipe or a device cannot be
  // replaced: the bytes are written into it directly. FileError if the path is a folder, or if its folder does not
  // exist. FileError, with the system's reason, if the file or its folder cannot be written.
  explicit OutputFile(const std::string& path);
  // Removes the temporary file unless `commit` succeeded. A killed process leaves it behind.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // FileError with the system's reason, for example a full disk.
  void write(const void* bytes, std::size_t count);
  void write(std::string_view text) { write(text.data(), text.size()); }

  // The target becomes what was written. FileError leaves the older target as it was. Called once, at the end.
  void commit();

 private:
  [[noreturn]] void fail(int error) const;
  void open_beside(bool exists);

  const std::string path_;
  std::string target_;   // path_ without symbolic links
  std::string partial_;  // empty for a pipe or a device, and after `commit`
  int file_ = -1;
};

// Writes the whole file, as OutputFile does.
void replace_file(const std::string& path, std::string_view content);

// Brings the names of a folder's files to the disk. FileError.
void sync_folder(const std::string& path);

// FileError if `replace_file` could not write this path now. For results of long work: asked before the work begins.
void check_writable(const std::string& path);

}  // namespace reprise
