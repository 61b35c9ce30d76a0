#pragma once
// How the rows of [rows, columns] are cut for sums over them: into chunks of a length that follows from the shape alone,
// so that the bits do not depend on the number of threads.
#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace reprise::cpu {

struct ColumnChunks {
  static constexpr std::int64_t kElements = 32768;  // of a chunk, at least
  static constexpr std::int64_t kMaxChunks = 64;
  std::int64_t rows, columns, rows_per_chunk, count;

  ColumnChunks(std::int64_t row_count, std::int64_t column_count) : rows(row_count), columns(column_count) {
    rows_per_chunk =
        std::max({kElements / std::max<std::int64_t>(columns, 1), rows / kMaxChunks, std::int64_t{0}}) + 1;
    count = std::max<std::int64_t>((rows + rows_per_chunk - 1) / rows_per_chunk, 1);
  }
  // For `sums` sums of each column in double, one set a chunk.
  std::size_t workspace(std::int64_t sums) const {
    return static_cast<std::size_t>(count * sums * columns) * sizeof(double);
  }
};

}  // namespace reprise::cpu
