#pragma once
// What a model's parts are and keep: a table made by a dry run, so the model need not fit.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "reprise/nn/module.h"
#include "reprise/nn/sequential.h"

namespace reprise::nn {

// A passage of a forward pass: what it is made of and how it is called. A module's operator() has any arguments it
// likes, so nobody can listen in on the calls inside it; what is to be a row is listed as a part.
struct SummaryPart {
  std::string name;
  std::vector<Module*> modules;  // whose parameters count for this row
  std::function<Tensor(Tensor)> call;
};

struct SummaryRow {
  std::string name;
  Shape output;
  std::int64_t parameters = 0;
  // Bytes of what the part's ops made, its output included: still there once the whole forward pass has run, for
  // backward or in the caller's hands; and gone, because nothing needs it or because a region will make it again.
  std::size_t kept = 0;
  std::size_t dropped = 0;
};

// Runs the parts one after the other on a tape, in a dry run, as training does: mode and frozen parameters count.
// UserError inside a dry run or while a tape records.
std::vector<SummaryRow> summary_rows(const std::vector<SummaryPart>& parts, const ValueInfo& input);

// The rows as a table with a line of totals; bytes in MB of 2^20.
std::string summary(const std::vector<SummaryPart>& parts, const ValueInfo& input);
std::string summary(Sequential& model, const ValueInfo& input);  // a row for each part

}  // namespace reprise::nn
