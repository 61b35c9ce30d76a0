#pragma once
// A file's content, read from front to back: as it lies, or inflated when the file is gzip.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace reprise::data {

class InputFile {
 public:
  // FileError when there is no such regular file or it cannot be opened.
  explicit InputFile(std::string path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  // Fills `out` as far as the content reaches and returns the bytes read: fewer than asked for only at its
  // end. Reading to the end of a gzip file checks its CRC and length. Zeros after the gzip data are ignored, as gzip does.
  // FileError (file, offset) for gzip data that is corrupt, stops in the middle, or is followed by anything else.
  std::size_t read(std::span<std::byte> out);

  // Bytes of content read so far.
  std::uint64_t offset() const;
  // The content is no longer than this: the file's size, or what deflate can make of it (1032 bytes from
  // one).
  std::uint64_t largest_size() const;
  bool is_gzip() const;
  const std::string& path() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reprise::data
