#pragma once
// The IDX format of MNIST and its kin (Y. LeCun, C. Cortes, C. Burges, "The MNIST database"): big-endian;
//   byte 0, 1   zero
//   byte 2      element type: 0x08 unsigned byte
//   byte 3      rank
//   4 bytes     per extent, outermost first
//   elements    in row-major order
#include <string>

#include "reprise/core/tensor.h"

namespace reprise::data {

// The elements as a u8 tensor (memory tag data), from a plain or a gzip file. The header is not trusted: what
// it claims is checked against the file before anything is allocated. FileError, with file and offset of the content,
// for another magic, element type or rank than `rank`. FileError too for too few bytes and for bytes left over.
// UserError for a rank that no tensor has.
Tensor read_idx(const std::string& path, int rank);

}  // namespace reprise::data
