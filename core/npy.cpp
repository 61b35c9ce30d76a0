// NumPy's .npy format (numpy.lib.format): "\x93NUMPY", two bytes of version, the header's length, the header, the elements.
// The header is a Python dictionary literal with 'descr', 'fortran_order' and 'shape', padded to 64 bytes. Its length has
// two bytes in version 1.0, four in 2.0 and 3.0. Headers of 3.0 are UTF-8. Version 1.0 is written.
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

#include "reprise/core/host_bytes.h"
#include "reprise/core/output_file.h"
#include "reprise/core/readable_file.h"
#include "reprise/core/tensor.h"

namespace reprise {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kPrefix = 10;      // of version 1.0: magic, version, header length
constexpr std::size_t kLongPrefix = 12;  // of versions 2.0 and 3.0

struct NumpyName {
  DType dtype;
  std::string_view descr;
};
constexpr NumpyName kNames[] = {{DType::f32, "<f4"},    {DType::f64, "<f8"}, {DType::f16, "<f2"},
                                {DType::i32, "<i4"},    {DType::i64, "<i8"}, {DType::u8, "|u1"},
                                {DType::boolean, "|b1"}};

struct Header {
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
};

// Reads the dictionary literal. Every error names the file and the offset where reading stopped.
class HeaderReader {
 public:
  // `begin` is the place of the text in the file.
  HeaderReader(const std::string& path, std::string_view text, std::size_t begin)
      : path_(path), text_(text), begin_(begin) {}

  Header read() {
    std::optional<std::string> descr;
    std::optional<bool> fortran_order;
    std::optional<std::vector<std::int64_t>> shape;
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !descr) {
        descr = quoted();
      } else if (key == "fortran_order" && !fortran_order) {
        fortran_order = boolean();
      } else if (key == "shape" && !shape) {
        shape = tuple();
      } else {
        fail(fmt::format("unexpected or repeated key '{}'", key));
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_spaces();
    if (at_ != text_.size()) fail("something follows the header's dictionary");
    if (!descr || !fortran_order || !shape) fail("the header lacks 'descr', 'fortran_order' or 'shape'");
    Header header;
    header.dtype = dtype(*descr);
    if (*fortran_order && shape->size() > 1)
      fail("the array is in Fortran order; save it in C order (np.ascontiguousarray)");
    header.shape = std::move(*shape);
    return header;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw FileError(fmt::format("{}: offset {}: {}", path_, begin_ + at_, what));
  }

 private:
  void skip_spaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool accept(char c) {
    skip_spaces();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(fmt::format("'{}' expected in the header", c));
  }
  std::string quoted() {
    skip_spaces();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') fail("a quoted name expected in the header");
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail("a quoted name in the header does not end");
    std::string result(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return result;
  }
  bool boolean() {
    skip_spaces();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return value;
    }
    fail("True or False expected in the header");
  }
  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> extents;
    expect('(');
    while (!accept(')')) {
      skip_spaces();
      std::int64_t extent = 0;
      const char* first = text_.data() + at_;
      const auto [end, error] = std::from_chars(first, text_.data() + text_.size(), extent);
      if (error != std::errc() || extent < 0) fail("an extent expected in the shape");
      at_ += static_cast<std::size_t>(end - first);
      if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // as Python 2 wrote long numbers
      extents.push_back(extent);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return extents;
  }
  DType dtype(const std::string& descr) const {
    for (const NumpyName& name : kNames)
      if (descr == name.descr ||
          (name.descr[0] == '|' && !descr.empty() && descr.substr(1) == name.descr.substr(1)))
        return name.dtype;
    if (!descr.empty() && descr[0] == '>')
      fail(fmt::format("dtype '{}' is big-endian; save it little-endian (astype('<' + ...))", descr));
    fail(fmt::format("dtype '{}' is none of <f4, <f8, <f2, <i4, <i8, |u1, |b1", descr));
  }

  const std::string& path_;
  std::string_view text_;
  std::size_t begin_;
  std::size_t at_ = 0;
};

std::string_view numpy_name(DType dtype) {
  for (const NumpyName& name : kNames)
    if (name.dtype == dtype) return name.descr;
  throw UserError(
      fmt::format("save_npy: NumPy has no {}; convert with to(DType::f32) first", to_string(dtype)));
}

std::string header_text(const Tensor& tensor) {
  std::string shape;
  for (std::int64_t extent : tensor.shape().extents()) shape += fmt::format("{}, ", extent);
  if (tensor.shape().rank() > 1) shape.resize(shape.size() - 2);
  if (tensor.shape().rank() == 1) shape.resize(shape.size() - 1);
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                 numpy_name(tensor.dtype()), shape);
  const std::size_t used = kPrefix + text.size() + 1;
  text += std::string((64 - used % 64) % 64, ' ') + '\n';
  return text;
}

// The text of the header, and its place in the file.
struct HeaderText {
  std::string text;
  std::size_t begin;
};
HeaderText read_header(std::ifstream& file, const std::string& path, std::uintmax_t file_bytes) {
  std::array<unsigned char, kLongPrefix> prefix = {};
  const auto read_up_to = [&](std::size_t from, std::size_t to) {
    file.read(reinterpret_cast<char*>(prefix.data() + from), static_cast<std::streamsize>(to - from));
    if (static_cast<std::size_t>(file.gcount()) != to - from)
      throw FileError(fmt::format("{}: offset {}: the file ends within the first {} bytes", path,
                                  from + static_cast<std::size_t>(file.gcount()), to));
  };
  read_up_to(0, kPrefix);
  if (std::memcmp(prefix.data(), kMagic.data(), kMagic.size()) != 0)
    throw FileError(fmt::format("{}: offset 0: not an .npy file", path));
  const int major = prefix[6];
  if (major < 1 || major > 3 || prefix[7] != 0)
    throw FileError(
        fmt::format("{}: offset 6: .npy version {}.{}; 1.0, 2.0 and 3.0 are read", path, major, prefix[7]));
  const std::size_t begin = major == 1 ? kPrefix : kLongPrefix;
  if (begin > kPrefix) read_up_to(kPrefix, begin);
  std::size_t bytes = 0;
  for (std::size_t i = begin; i-- > 8;) bytes = bytes << 8 | prefix[i];
  if (bytes > file_bytes - begin)
    throw FileError(
        fmt::format("{}: offset 8: a header of {} bytes in a file of {}", path, bytes, file_bytes));
  std::string text(bytes, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (static_cast<std::size_t>(file.gcount()) != text.size())
    throw FileError(fmt::format("{}: offset {}: the file ends within its header", path, begin));
  return {std::move(text), begin};
}

}  // namespace

void save_npy(const Tensor& tensor, const std::string& path) {
  const ValueInfo& info = tensor.info();
  const std::string header = header_text(tensor);
  std::vector<std::byte> copy;
  const std::byte* data = host_bytes(tensor, copy);
  OutputFile file(path);
  file.write(kMagic);
  const char version_and_length[4] = {1, 0, static_cast<char>(header.size() & 0xFF),
                                      static_cast<char>(header.size() >> 8)};
  file.write(version_and_length, sizeof(version_and_length));
  file.write(header);
  file.write(data, info.bytes());
  file.commit();
}

Tensor load_npy(const std::string& path) {
  check_readable(path);
  std::error_code error;
  const std::uintmax_t file_bytes = std::filesystem::file_size(path, error);
  if (error) throw FileError(fmt::format("{}: {}", path, error.message()));
  std::ifstream file(path, std::ios::binary);
  if (!file) throw FileError(fmt::format("{}: cannot be opened: {}", path, std::strerror(errno)));
  const auto [text, begin] = read_header(file, path, file_bytes);
  const std::size_t data_begin = begin + text.size();
  HeaderReader reader(path, text, begin);
  const Header header = reader.read();
  Shape shape;
  try {
    shape = Shape(header.shape);
  } catch (const UserError& bad) {
    reader.fail(bad.what());
  }
  const std::uintmax_t wanted = static_cast<std::uintmax_t>(shape.numel());
  const std::uintmax_t there = file_bytes - data_begin;
  const std::uintmax_t size = size_of(header.dtype);
  if (wanted > there / size || wanted * size != there)
    throw FileError(fmt::format(
        "{}: offset {}: shape {} of {} needs {} elements of {} bytes, but {} bytes follow the header", path,
        data_begin, to_string(shape), to_string(header.dtype), wanted, size, there));
  Tensor result = Tensor::empty(shape, {.dtype = header.dtype});
  if (result.impl()->storage->dry || there == 0) return result;
  char* data = reinterpret_cast<char*>(result.impl()->data());
  file.read(data, static_cast<std::streamsize>(there));
  if (static_cast<std::uintmax_t>(file.gcount()) != there)
    throw FileError(fmt::format("{}: offset {}: the file ends early", path,
                                data_begin + static_cast<std::size_t>(file.gcount())));
  if (header.dtype == DType::boolean)  // any other byte would not be a bool
    for (std::uintmax_t i = 0; i < there; ++i)
      if (static_cast<unsigned char>(data[i]) > 1)
        throw FileError(fmt::format("{}: offset {}: a bool that is neither 0 nor 1", path, data_begin + i));
  return result;
}

}  // namespace reprise
