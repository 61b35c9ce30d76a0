#pragma once
// Batches of a dataset, epoch by epoch:
//
//   data::Loader loader(train, {.batch_size = 64, .shuffle = true, .seed = 1});
//   for (auto [x, y] : loader.epoch(0)) ...
//
// Epoch n is a pure function of {dataset, options, n}. It does not touch the thread's generator. epoch(n, k) gives the
// batches of epoch(n) from batch k on: a resumed run uses this.
//
// A dataset may draw random numbers in get (Tensor::randn, dropout and the like). They are a function of {options.seed,
// epoch, number of the batch in the epoch}, with and without prefetch.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "reprise/core/random.h"
#include "reprise/data/augment.h"
#include "reprise/data/dataset.h"
#include "reprise/data/epoch_order.h"
#include "reprise/data/prefetch.h"

namespace reprise::data {

struct LoaderOptions {
  std::int64_t batch_size = 1;
  bool shuffle = false;
  std::uint64_t seed = 0;
  bool drop_last = false;  // leave out a last batch smaller than batch_size
  AugmentOptions augment = {};
  bool prefetch = true;  // make the next batch on a thread while this one is used
};

// UserError for a batch size below 1, and for negative positions.
void check_loader_options(const LoaderOptions& options);
void check_epoch_position(std::int64_t epoch, std::int64_t first_batch, std::int64_t batches);

template <class D>
class Loader {
 public:
  explicit Loader(const D& dataset, LoaderOptions options = {}) : dataset_(&dataset), options_(options) {
    check_loader_options(options_);
  }
  explicit Loader(const D&&, LoaderOptions = {}) = delete;  // would dangle

  // One pass; copies share it. The batch stays alive until the next one is fetched.
  class iterator {
   public:
    using value_type = Batch;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;
    iterator() = default;
    Batch operator*() const { return pass_->batch.value(); }
    iterator& operator++() {
      pass_->batch.reset();  // before the thread begins another: two batches live, not three
      pass_->batch = pass_->prefetch.next();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(const iterator& other) const { return at_end() == other.at_end(); }
    bool operator!=(const iterator& other) const { return !(*this == other); }

   private:
    friend class Loader;
    struct Pass {
      Prefetch prefetch;
      std::optional<Batch> batch;
    };
    explicit iterator(std::shared_ptr<Pass> pass) : pass_(std::move(pass)) {}
    bool at_end() const { return !pass_ || !pass_->batch; }
    std::shared_ptr<Pass> pass_;
  };

  class Epoch {
   public:
    // Every begin() starts anew.
    iterator begin() const {
      auto make =
          [dataset = dataset_, options = options_, epoch = epoch_,
           order = epoch_order(dataset_->size(), options_.shuffle, options_.seed, epoch_)](std::int64_t i) {
            const auto from = static_cast<std::size_t>(i * options.batch_size);
            const auto count = std::min(static_cast<std::size_t>(options.batch_size), order.size() - from);
            const std::span<const std::int64_t> indices = std::span(order).subspan(from, count);
            const RandomScope draws(batch_draws(options.seed, epoch, i));
            Batch batch = get(*dataset, indices, epoch);
            if (options.augment.any())
              batch.inputs = augment(batch.inputs, indices, options.seed, epoch, options.augment);
            return batch;
          };
      using Pass = typename iterator::Pass;
      std::shared_ptr<Pass> pass(
          new Pass{Prefetch(std::move(make), first_batch_, batches_, options_.prefetch), std::nullopt});
      pass->batch = pass->prefetch.next();
      return iterator(std::move(pass));
    }
    iterator end() const { return {}; }

   private:
    friend class Loader;
    static Batch get(const D& dataset, std::span<const std::int64_t> indices, std::int64_t epoch) {
      if constexpr (requires { dataset.get(indices, epoch); })
        return dataset.get(indices, epoch);
      else
        return dataset.get(indices);
    }
    const D* dataset_;
    LoaderOptions options_;
    std::int64_t epoch_, first_batch_, batches_;
    Epoch(const D* dataset, LoaderOptions options, std::int64_t epoch, std::int64_t first_batch,
          std::int64_t batches)
        : dataset_(dataset), options_(options), epoch_(epoch), first_batch_(first_batch), batches_(batches) {}
  };

  Epoch epoch(std::int64_t epoch, std::int64_t first_batch = 0) const& {
    check_epoch_position(epoch, first_batch, batches());
    return {dataset_, options_, epoch, first_batch, batches()};
  }
  Epoch epoch(std::int64_t, std::int64_t = 0) && = delete;

  // Batches of an epoch.
  std::int64_t batches() const {
    const std::int64_t size = dataset_->size();
    const std::int64_t whole = size / options_.batch_size;
    return options_.drop_last || size % options_.batch_size == 0 ? whole : whole + 1;
  }
  const LoaderOptions& options() const { return options_; }

 private:
  const D* dataset_;
  LoaderOptions options_;
};

}  // namespace reprise::data
