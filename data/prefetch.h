#pragma once
// Makes the batches of one epoch, on a thread of its own, one ahead of the consumer.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "reprise/data/dataset.h"

namespace reprise::data {

class Prefetch {
 public:
  // `make(i)` gives batch i of [first, last); it is called in order, on the thread if `threaded`, else in
  // next(). Its allocations have the memory tag data.
  Prefetch(std::function<Batch(std::int64_t)> make, std::int64_t first, std::int64_t last, bool threaded);
  // Stops after the batch being made, and joins.
  ~Prefetch();
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;

  // The next batch; none after the last. Throws what `make` threw; after that there are no more batches.
  std::optional<Batch> next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reprise::data
