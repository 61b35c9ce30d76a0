#include "reprise/core/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "reprise/core/dry_run.h"
#include "reprise/core/output_file.h"
#include "reprise/core/readable_file.h"

namespace reprise {
namespace {

static_assert(std::endian::native == std::endian::little, "the format's data are little-endian");

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit

constexpr std::array<std::pair<DType, std::string_view>, kDTypeCount> kNames = {{{DType::f32, "F32"},
                                                                                 {DType::f64, "F64"},
                                                                                 {DType::bf16, "BF16"},
                                                                                 {DType::f16, "F16"},
                                                                                 {DType::i32, "I32"},
                                                                                 {DType::i64, "I64"},
                                                                                 {DType::u8, "U8"},
                                                                                 {DType::boolean, "BOOL"}}};

[[noreturn]] void fail(const std::string& path, std::uint64_t offset, std::string_view what) {
  throw FileError(fmt::format("{}: at byte {}: {}", path, offset, what));
}

std::ifstream open(const std::string& path) {
  check_readable(path);
  std::ifstream file(path, std::ios::binary);
  if (!file) throw FileError(fmt::format("{}: cannot be opened for reading", path));
  return file;
}

void read_bytes(std::ifstream& file, const std::string& path, std::uint64_t offset, void* to,
                std::uint64_t bytes) {
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(static_cast<char*>(to), static_cast<std::streamsize>(bytes));
  if (!file || file.gcount() != static_cast<std::streamsize>(bytes))
    fail(path, offset, fmt::format("{} bytes could not be read", bytes));
}

std::string header_text(std::ifstream& file, const std::string& path, std::uint64_t file_bytes) {
  if (file_bytes < kLengthBytes)
    fail(path, 0, fmt::format("not a safetensors file: {} bytes are too few", file_bytes));
  std::array<char, kLengthBytes> first;
  read_bytes(file, path, 0, first.data(), first.size());
  if (std::string_view(first.data(), 2) == "PK")
    fail(path, 0, "a zip archive, such as torch.save writes; save with safetensors.torch.save_file instead");
  const auto length = std::bit_cast<std::uint64_t>(first);
  if (length > kMaxHeaderBytes || length > file_bytes - kLengthBytes)
    fail(path, 0,
         fmt::format("not a safetensors file: a header of {} bytes does not fit in {}", length, file_bytes));
  std::string text(length, '\0');
  read_bytes(file, path, kLengthBytes, text.data(), length);
  return text;
}

DType dtype_of_name(const std::string& path, const std::string& tensor, const std::string& name) {
  for (const auto& [dtype, known] : kNames)
    if (known == name) return dtype;
  fail(path, kLengthBytes,
       fmt::format("tensor \"{}\" has dtype \"{}\", which is not supported", tensor, name));
}

SafetensorsEntry entry_from_json(const std::string& path, const std::string& name, const nlohmann::json& json,
                                 std::uint64_t data_begin, std::uint64_t data_bytes) {
  auto bad = [&](std::string_view what) {
    fail(path, kLengthBytes, fmt::format("tensor \"{}\": {}", name, what));
  };
  auto is_count = [](const nlohmann::json& number) { return number.is_number_unsigned(); };
  if (!json.is_object() || !json.contains("dtype") || !json.contains("shape") ||
      !json.contains("data_offsets"))
    bad("needs dtype, shape and data_offsets");
  const nlohmann::json& dtype = json["dtype"];
  const nlohmann::json& extents = json["shape"];
  const nlohmann::json& offsets = json["data_offsets"];
  if (!dtype.is_string()) bad("dtype is not a string");
  if (!extents.is_array() || !std::all_of(extents.begin(), extents.end(), is_count))
    bad("shape is not a list of counts");
  if (extents.size() > static_cast<std::size_t>(Shape::kMaxRank))
    bad(fmt::format("{} dimensions, at most {} are supported", extents.size(), Shape::kMaxRank));
  if (!offsets.is_array() || offsets.size() != 2 || !std::all_of(offsets.begin(), offsets.end(), is_count))
    bad("data_offsets is not a pair of counts");

  const auto begin = offsets[0].get<std::uint64_t>(), end = offsets[1].get<std::uint64_t>();
  if (begin > end || end > data_bytes)
    bad(fmt::format("data_offsets [{}, {}] do not lie in the file's {} bytes of data", begin, end,
                    data_bytes));
  SafetensorsEntry entry{name, {{}, dtype_of_name(path, name, dtype.get<std::string>()), Device::cpu()}, 0};
  std::uint64_t bytes = size_of(entry.info.dtype);
  std::vector<std::int64_t> shape;
  const bool empty = std::any_of(extents.begin(), extents.end(), [](const nlohmann::json& extent) {
    return extent.get<std::uint64_t>() == 0;
  });
  if (empty) bytes = 0;
  for (const nlohmann::json& extent : extents) {
    const auto n = extent.get<std::uint64_t>();
    // bytes * n <= data_bytes, without overflow; in an empty tensor the other extents hold no bytes.
    if (n > data_bytes || (!empty && bytes > data_bytes / n))
      bad("its shape needs more bytes than the file has");
    bytes *= n;
    shape.push_back(static_cast<std::int64_t>(n));
  }
  if (bytes != end - begin)
    bad(fmt::format("its shape needs {} bytes, data_offsets give {}", bytes, end - begin));
  try {
    entry.info.shape = Shape(shape);
  } catch (const UserError& error) {
    bad(error.what());
  }
  entry.offset = data_begin + begin;
  return entry;
}

nlohmann::json header_to_json(const std::vector<std::pair<std::string, Tensor>>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t begin = 0;
  for (const auto& [name, tensor] : tensors) {
    if (tensor.impl()->storage->dry)
      throw UserError(fmt::format("write_safetensors: \"{}\" was made in a dry run and has no value", name));
    if (name == "__metadata__" || header.contains(name))
      throw UserError(
          fmt::format("write_safetensors: the name \"{}\" cannot be used twice or is reserved", name));
    const auto known =
        std::find_if(kNames.begin(), kNames.end(),
                     [dtype = tensor.dtype()](const auto& entry) { return entry.first == dtype; });
    const std::uint64_t end = begin + tensor.bytes();
    header[name] = {
        {"dtype", known->second}, {"shape", tensor.shape().extents()}, {"data_offsets", {begin, end}}};
    begin = end;
  }
  return header;
}

}  // namespace

SafetensorsHeader read_safetensors_header(const std::string& path) {
  std::ifstream file = open(path);
  std::error_code error;
  const std::uint64_t file_bytes = std::filesystem::file_size(path, error);
  if (error) throw FileError(fmt::format("{}: {}", path, error.message()));
  const std::string text = header_text(file, path, file_bytes);
  const std::uint64_t data_begin = kLengthBytes + text.size(), data_bytes = file_bytes - data_begin;

  nlohmann::json json;
  try {
    json = nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& parse_error) {
    fail(path, kLengthBytes + parse_error.byte, "the header is not JSON");
  }
  if (!json.is_object()) fail(path, kLengthBytes, "the header is not a JSON object");

  SafetensorsHeader header;
  for (const auto& [name, value] : json.items()) {
    if (name != "__metadata__") {
      header.entries.push_back(entry_from_json(path, name, value, data_begin, data_bytes));
      continue;
    }
    if (!value.is_object()) fail(path, kLengthBytes, "__metadata__ is not an object");
    for (const auto& [key, text_value] : value.items()) {
      if (!text_value.is_string())
        fail(path, kLengthBytes, "__metadata__ holds something other than strings");
      header.metadata[key] = text_value.get<std::string>();
    }
  }
  std::sort(header.entries.begin(), header.entries.end(),
            [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
              return a.offset != b.offset ? a.offset < b.offset : a.info.bytes() < b.info.bytes();
            });
  std::uint64_t next = data_begin;
  for (const SafetensorsEntry& entry : header.entries) {
    if (entry.offset != next)
      fail(path, next,
           fmt::format("tensor \"{}\" leaves a gap or overlaps: its data begin at {}", entry.name,
                       entry.offset));
    next += entry.info.bytes();
  }
  if (next != file_bytes) fail(path, next, fmt::format("{} bytes belong to no tensor", file_bytes - next));
  return header;
}

Tensor read_safetensors(const std::string& path, const SafetensorsEntry& entry) {
  if (is_dry_run()) throw UserError(fmt::format("{}: cannot be read in a dry run", path));
  Tensor tensor = empty(entry.info);
  if (tensor.bytes() == 0) return tensor;
  std::ifstream file = open(path);
  read_bytes(file, path, entry.offset, tensor.impl()->data(), tensor.bytes());
  if (entry.info.dtype == DType::boolean) {
    const std::byte* data = tensor.impl()->data();
    for (std::size_t i = 0; i < tensor.bytes(); ++i)
      if (data[i] > std::byte{1})
        fail(path, entry.offset + i, fmt::format("tensor \"{}\": a boolean is neither 0 nor 1", entry.name));
  }
  return tensor;
}

void write_safetensors(const std::string& path, const std::vector<std::pair<std::string, Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  if (is_dry_run()) throw UserError(fmt::format("{}: a dry run has no values to write", path));
  std::string text;
  try {
    text = header_to_json(tensors, metadata).dump();
  } catch (const nlohmann::json::type_error&) {
    throw UserError(fmt::format("{}: a name or a metadata value is not UTF-8", path));
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();

  OutputFile file(path);
  file.write(&length, sizeof(length));
  file.write(text);
  std::vector<std::byte> host;  // for tensors of other devices
  for (const auto& [name, tensor] : tensors) {
    if (tensor.bytes() == 0) continue;
    const void* data = tensor.impl()->data();
    if (tensor.device().kind != Device::CPU) {
      host.resize(tensor.bytes());
      services(tensor.device()).copy(host.data(), data, host.size());
      data = host.data();
    }
    file.write(data, tensor.bytes());
  }
  file.commit();
}

}  // namespace reprise
