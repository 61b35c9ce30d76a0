#include "reprise/data/input_file.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <limits>
#include <utility>

#include "reprise/core/error.h"
#include "reprise/core/readable_file.h"

namespace reprise::data {
namespace {

// RFC 1951: the best a deflate block can do is 258 bytes from 2 bits; zlib's documentation gives 1032:1.
constexpr std::uint64_t kLargestExpansion = 1032;
constexpr std::size_t kBufferBytes = std::size_t{1} << 16;

}  // namespace

struct InputFile::State {
  std::string path;
  std::ifstream stream;
  std::uint64_t file_bytes = 0;
  std::uint64_t file_read = 0;     // bytes taken from the file
  std::uint64_t content_read = 0;  // bytes handed out
  bool gzip = false;
  bool at_end = false;  // gzip: the last member's trailer has been checked
  z_stream zlib = {};
  std::array<unsigned char, kBufferBytes> buffer = {};

  ~State() {
    if (gzip) inflateEnd(&zlib);
  }

  std::size_t read_file(unsigned char* out, std::size_t count) {
    stream.read(reinterpret_cast<char*>(out), static_cast<std::streamsize>(count));
    const auto got = static_cast<std::size_t>(stream.gcount());
    if (stream.bad()) throw FileError(fmt::format("{}: reading failed at byte {}", path, file_read + got));
    file_read += got;
    return got;
  }

  bool refill() {
    zlib.next_in = buffer.data();
    zlib.avail_in = static_cast<uInt>(read_file(buffer.data(), buffer.size()));
    return zlib.avail_in > 0;
  }

  // Moves to the next byte that is not zero, or to the end, where avail_in stays 0. Was there a zero?
  bool skip_zeros() {
    bool found = false;
    while (zlib.avail_in > 0 || refill()) {
      if (*zlib.next_in != 0) return found;
      found = true;
      ++zlib.next_in;
      --zlib.avail_in;
    }
    return found;
  }

  std::uint64_t consumed() const { return file_read - zlib.avail_in; }

  std::size_t inflate_into(std::byte* out, std::size_t count) {
    std::size_t done = 0;
    while (done < count && !at_end) {
      if (zlib.avail_in == 0 && !refill())
        throw FileError(
            fmt::format("{}: truncated: the file ends at byte {} in the middle of its gzip data ({} bytes of "
                        "content read)",
                        path, file_read, content_read + done));
      const std::size_t ask = std::min<std::size_t>(count - done, std::numeric_limits<uInt>::max());
      zlib.next_out = reinterpret_cast<Bytef*>(out + done);
      zlib.avail_out = static_cast<uInt>(ask);
      const int code = inflate(&zlib, Z_NO_FLUSH);
      done += ask - zlib.avail_out;
      if (code == Z_STREAM_END) {
        // A gzip file may be several members, one after the other. Zeros may pad it, as on a tape.
        const bool padded = skip_zeros();
        at_end = zlib.avail_in == 0;
        if (!at_end && padded)
          throw FileError(
              fmt::format("{}: corrupt: bytes follow the zeros after the gzip data, at byte {} of the file",
                          path, consumed()));
        if (!at_end) inflateReset(&zlib);
      } else if (code != Z_OK && code != Z_BUF_ERROR) {
        throw FileError(fmt::format("{}: corrupt gzip data at byte {} of the file: {}", path, consumed(),
                                    zlib.msg ? zlib.msg : zError(code)));
      }
    }
    return done;
  }
};

InputFile::InputFile(std::string path) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.path = std::move(path);
  check_readable(s.path);
  std::error_code error;
  s.stream.open(s.path, std::ios::binary);
  if (!s.stream) throw FileError(fmt::format("{}: cannot be opened for reading", s.path));
  s.file_bytes = std::filesystem::file_size(s.path, error);
  if (error) throw FileError(fmt::format("{}: its size cannot be read: {}", s.path, error.message()));
  const bool magic = s.stream.get() == 0x1f && s.stream.get() == 0x8b;
  s.stream.clear();
  s.stream.seekg(0);
  if (!magic) return;
  if (inflateInit2(&s.zlib, 16 + MAX_WBITS) != Z_OK)  // 16: a gzip header, not zlib's
    throw FileError(fmt::format("{}: zlib cannot be started", s.path));
  s.gzip = true;
}

InputFile::~InputFile() = default;

std::size_t InputFile::read(std::span<std::byte> out) {
  State& s = *state_;
  const std::size_t got = s.gzip ? s.inflate_into(out.data(), out.size())
                                 : s.read_file(reinterpret_cast<unsigned char*>(out.data()), out.size());
  s.content_read += got;
  return got;
}

std::uint64_t InputFile::offset() const { return state_->content_read; }

std::uint64_t InputFile::largest_size() const {
  return state_->gzip ? state_->file_bytes * kLargestExpansion : state_->file_bytes;
}

bool InputFile::is_gzip() const { return state_->gzip; }
const std::string& InputFile::path() const { return state_->path; }

}  // namespace reprise::data
