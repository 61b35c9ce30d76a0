#include "reprise/ops/class_targets.h"

#include <fmt/format.h>

#include "reprise/ops/elementwise.h"

namespace reprise {

void require_class_targets(const char* op, const ValueInfo& scores, const ValueInfo& targets) {
  require_floating(op, scores);
  if (targets.dtype != DType::i64)
    throw UserError(
        fmt::format("{}: targets are {} but must be i64 class numbers: convert with .to(DType::i64)", op,
                    to_string(targets.dtype)));
  if (scores.shape.rank() < 1 || scores.shape[-1] < 1 || !(scores.shape.without(-1) == targets.shape))
    throw UserError(fmt::format(
        "{}: scores {} and targets {} do not fit: scores are [.., classes], targets the leading shape", op,
        to_string(scores.shape), to_string(targets.shape)));
}

void require_in_range(const char* op, const char* what, const ConstView& numbers, std::int64_t count,
                      const std::int64_t* ignored) {
  if (numbers.info->device.kind != Device::CPU) return;
  const std::int64_t total = numbers.info->shape.numel();
  const auto* values = numbers.as<std::int64_t>();
  for (std::int64_t i = 0; i < total; ++i)
    if ((values[i] < 0 || values[i] >= count) && !(ignored && values[i] == *ignored))
      throw UserError(
          fmt::format("{}: {} {} at position {} is not in [0, {})", op, what, values[i], i, count));
}

void require_label_smoothing(const char* op, double label_smoothing) {
  if (!(label_smoothing >= 0 && label_smoothing <= 1))
    throw UserError(fmt::format("{}: label_smoothing {} is not in [0, 1]", op, label_smoothing));
}

}  // namespace reprise
