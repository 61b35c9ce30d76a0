// IDX files, plain and gzip. The first byte of the input chooses the rank that is asked for.
#include <zlib.h>

#include "reprise/data/idx.h"
#include "reprise/tests/fuzz/fuzz_target.h"

namespace reprise::fuzz {
namespace {

std::string gzip(std::string_view content) {
  return written([&](const std::string& path) {
    gzFile file = gzopen(path.c_str(), "wb");
    require(gzwrite(file, content.data(), static_cast<unsigned>(content.size())) >= 0, "gzwrite failed");
    gzclose(file);
  });
}

}  // namespace

void read_input(std::string_view bytes) {
  if (bytes.empty()) return;
  const InputFile file(bytes.substr(1));
  const int rank = bytes[0] % 16 - 2;
  const Tensor elements = data::read_idx(file.path(), rank);
  require(elements.shape().rank() == rank, "an IDX file of another rank was read");
}

std::vector<std::string> seeds() {
  const std::string labels(
      "\0\0\x08\x01\0\0\0\x03"
      "abc",
      11);
  const std::string images(
      "\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x01"
      "abcd",
      20);
  const std::string none("\0\0\x08\x02\0\0\0\0\xff\xff\xff\xff", 12);
  const std::string rank1(1, 3), rank2(1, 4), rank3(1, 5);
  return {rank1 + labels,
          rank3 + images,
          rank2 + none,
          rank1 + gzip(labels),
          rank3 + gzip(images) + std::string(100, '\0'),
          rank1 + gzip(labels.substr(0, 5)) + gzip(labels.substr(5))};
}

}  // namespace reprise::fuzz
