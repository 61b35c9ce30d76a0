#include "reprise/data/loader.h"

#include <fmt/format.h>

#include "reprise/core/error.h"

namespace reprise::data {

void check_loader_options(const LoaderOptions& options) {
  if (options.batch_size < 1)
    throw UserError(fmt::format("Loader: batch_size {}; at least 1", options.batch_size));
  if (options.augment.crop_padding < 0)
    throw UserError(fmt::format("Loader: crop_padding {}; at least 0", options.augment.crop_padding));
}

void check_epoch_position(std::int64_t epoch, std::int64_t first_batch, std::int64_t batches) {
  if (epoch < 0) throw UserError(fmt::format("Loader: epoch {}; at least 0", epoch));
  if (first_batch < 0 || first_batch > batches)
    throw UserError(fmt::format("Loader: epoch begins at batch {}; it has {}", first_batch, batches));
}

}  // namespace reprise::data
