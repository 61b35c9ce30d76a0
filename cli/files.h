#pragma once
// Files that are whole or not there: written aside, brought to the disk, renamed.
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace reprise::cli {

// The file becomes `content`, or stays as it was. FileError.
void replace_file(const std::filesystem::path& path, std::string_view content);

// A folder with what `fill` writes into the folder it is given; it is not there before it is whole. FileError when
// something of that name is there already.
void make_folder(const std::filesystem::path& path,
                 const std::function<void(const std::filesystem::path&)>& fill);

// FileError when it cannot be read.
std::string read_file(const std::filesystem::path& path);

}  // namespace reprise::cli
