#include "reprise/core/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
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

// One tensor of the header, before it is known whether Reprise can hold it.
struct Described {
  std::string name, dtype;
  std::vector<std::uint64_t> extents;
  std::uint64_t begin = 0, end = 0;  // in the data
};

Described described_from_json(const std::string& path, const std::string& name, const nlohmann::json& json,
                              std::uint64_t data_bytes) {
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
  if (!offsets.is_array() || offsets.size() != 2 || !std::all_of(offsets.begin(), offsets.end(), is_count))
    bad("data_offsets is not a pair of counts");
  Described tensor{name, dtype.get<std::string>(), extents.get<std::vector<std::uint64_t>>(),
                   offsets[0].get<std::uint64_t>(), offsets[1].get<std::uint64_t>()};
  if (tensor.begin > tensor.end || tensor.end > data_bytes)
    bad(fmt::format("data_offsets [{}, {}] do not lie in the file's {} bytes of data", tensor.begin,
                    tensor.end, data_bytes));
  return tensor;
}

// Why Reprise cannot hold the tensor; empty if it can.
std::string reason_against(const Described& tensor) {
  const bool known = std::any_of(kNames.begin(), kNames.end(),
                                 [&](const auto& entry) { return entry.second == tensor.dtype; });
  if (!known) return fmt::format("has dtype \"{}\", which is not supported", tensor.dtype);
  if (tensor.extents.size() > static_cast<std::size_t>(Shape::kMaxRank))
    return fmt::format("has {} dimensions, at most {} are supported", tensor.extents.size(), Shape::kMaxRank);
  return {};
}

// The entry of a tensor that Reprise can hold. FileError if its shape needs other bytes than its offsets give.
SafetensorsEntry checked_entry(const std::string& path, const Described& tensor, std::uint64_t data_begin) {
  auto bad = [&](std::string_view what) {
    fail(path, kLengthBytes, fmt::format("tensor \"{}\": {}", tensor.name, what));
  };
  const DType dtype = std::find_if(kNames.begin(), kNames.end(), [&](const auto& entry) {
                        return entry.second == tensor.dtype;
                      })->first;
  const bool empty = std::find(tensor.extents.begin(), tensor.extents.end(), 0) != tensor.extents.end();
  const std::uint64_t given = tensor.end - tensor.begin;
  std::uint64_t bytes = empty ? 0 : size_of(dtype);
  std::vector<std::int64_t> shape;
  for (const std::uint64_t extent : tensor.extents) {
    // bytes * extent <= given, without overflow. In an empty tensor the other extents hold no bytes.
    if (!empty && bytes > given / extent) bad("its shape needs more bytes than its data_offsets give");
    if (extent > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      bad(fmt::format("an extent of {} is beyond what a shape can have", extent));
    bytes *= extent;
    shape.push_back(static_cast<std::int64_t>(extent));
  }
  if (bytes != given) bad(fmt::format("its shape needs {} bytes, data_offsets give {}", bytes, given));
  try {
    return {tensor.name, {Shape(shape), dtype, Device::cpu()}, data_begin + tensor.begin};
  } catch (const UserError& error) {
    fail(path, kLengthBytes, fmt::format("tensor \"{}\": {}", tensor.name, error.what()));
  }
}

// A tensor that is named twice would be read as the last of them.
nlohmann::json parse_header(const std::string& path, const std::string& text) {
  std::set<std::string> names;
  std::string twice;
  const auto note = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    if (depth == 1 && event == nlohmann::json::parse_event_t::key)
      if (const auto name = parsed.get<std::string>(); !names.insert(name).second) twice = name;
    return true;
  };
  nlohmann::json json;
  try {
    json = nlohmann::json::parse(text, note);
  } catch (const nlohmann::json::parse_error& error) {
    fail(path, kLengthBytes + error.byte, "the header is not JSON");
  } catch (const nlohmann::json::exception& error) {  // a number beyond every type
    fail(path, kLengthBytes, fmt::format("the header cannot be read: {}", error.what()));
  }
  if (!json.is_object()) fail(path, kLengthBytes, "the header is not a JSON object");
  if (!twice.empty()) fail(path, kLengthBytes, fmt::format("the header has \"{}\" twice", twice));
  return json;
}

// The data must lie side by side and end with the file.
void check_layout(const std::string& path, std::vector<Described> tensors, std::uint64_t data_begin,
                  std::uint64_t file_bytes) {
  std::sort(tensors.begin(), tensors.end(), [](const Described& a, const Described& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  std::uint64_t next = 0;
  for (const Described& tensor : tensors) {
    if (tensor.begin != next)
      fail(path, data_begin + next,
           fmt::format("tensor \"{}\" leaves a gap or overlaps: its data begin at {}", tensor.name,
                       data_begin + tensor.begin));
    next = tensor.end;
  }
  if (data_begin + next != file_bytes)
    fail(path, data_begin + next,
         fmt::format("{} bytes belong to no tensor", file_bytes - data_begin - next));
}

nlohmann::json header_to_json(const std::vector<std::pair<std::string, Tensor>>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t begin = 0;
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined())
      throw UserError(fmt::format(
          "write_safetensors: \"{}\" is undefined: leave it out, as a layer without a bias does", name));
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

  SafetensorsHeader header;
  std::vector<Described> tensors;
  const nlohmann::json json = parse_header(path, text);
  for (const auto& [name, value] : json.items()) {
    if (name != "__metadata__") {
      tensors.push_back(described_from_json(path, name, value, data_bytes));
      continue;
    }
    if (!value.is_object()) fail(path, kLengthBytes, "__metadata__ is not an object");
    for (const auto& [key, text_value] : value.items()) {
      if (!text_value.is_string())
        fail(path, kLengthBytes, "__metadata__ holds something other than strings");
      header.metadata[key] = text_value.get<std::string>();
    }
  }
  for (const Described& tensor : tensors) {
    if (std::string reason = reason_against(tensor); !reason.empty())
      header.unreadable.push_back({tensor.name, std::move(reason)});
    else
      header.entries.push_back(checked_entry(path, tensor, data_begin));
  }
  std::sort(header.entries.begin(), header.entries.end(),
            [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
              return a.offset != b.offset ? a.offset < b.offset : a.info.bytes() < b.info.bytes();
            });
  check_layout(path, std::move(tensors), data_begin, file_bytes);
  return header;
}

Tensor read_safetensors(const std::string& path, const SafetensorsEntry& entry) {
  if (is_dry_run()) throw UserError(fmt::format("{}: cannot be read in a dry run", path));
  if (entry.info.device != Device::cpu())
    throw UserError(
        fmt::format("{}: \"{}\" is read onto the CPU; move it with to(Device)", path, entry.name));
  std::ifstream file = open(path);
  std::error_code error;
  const std::uint64_t file_bytes = std::filesystem::file_size(path, error), bytes = entry.info.bytes();
  if (error) throw FileError(fmt::format("{}: {}", path, error.message()));
  if (entry.offset > file_bytes || bytes > file_bytes - entry.offset)
    fail(path, entry.offset,
         fmt::format("tensor \"{}\" needs {} bytes, the file has {}", entry.name, bytes, file_bytes));
  Tensor tensor = empty(entry.info);
  if (bytes == 0) return tensor;
  read_bytes(file, path, entry.offset, tensor.impl()->data(), bytes);
  if (entry.info.dtype == DType::boolean) {
    const std::byte* data = tensor.impl()->data();
    for (std::size_t i = 0; i < bytes; ++i)
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
