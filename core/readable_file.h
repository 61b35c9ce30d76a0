#pragma once
// Clear words for a path that cannot be read.
#include <string>

namespace reprise {

// FileError if the path names no file that can be read: it says whether nothing is there, or a folder, a pipe or a
// device, or a file without permission. Readers ask this before they open a file.
void check_readable(const std::string& path);

}  // namespace reprise
