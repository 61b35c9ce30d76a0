#pragma once
// Clear words for a path that cannot be read.
#include <string>

namespace reprise {

// FileError if the path names no file that can be read. The error says if nothing is there, or if a folder, a pipe, a
// device or a file without permission is there. Readers ask this before they open a file.
void check_readable(const std::string& path);

}  // namespace reprise
