#pragma once
// How kernels run, while one of these lives.
#include "reprise/core/kernel_slot.h"
#include "reprise/core/parallel.h"

namespace reprise::test {

struct ThreadCount {
  explicit ThreadCount(int count) { set_num_threads(count); }
  ~ThreadCount() { set_num_threads(before); }
  ThreadCount(const ThreadCount&) = delete;
  ThreadCount& operator=(const ThreadCount&) = delete;
  int before = num_threads();
};

struct PlainKernels {
  explicit PlainKernels(bool plain = true) { set_plain_kernels(plain); }
  ~PlainKernels() { set_plain_kernels(before); }
  PlainKernels(const PlainKernels&) = delete;
  PlainKernels& operator=(const PlainKernels&) = delete;
  bool before = plain_kernels();
};

}  // namespace reprise::test
