#include "reprise/ops/embedding.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/products.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class Word>
void copy_rows(const EmbeddingArgs& args) {
  const std::int64_t width = args.w.info->shape[1];
  const auto* ids = args.ids.as<std::int64_t>();
  const Word* w = args.w.as<Word>();
  Word* y = args.y.as<Word>();
  parallel_for(args.ids.info->shape.numel(), grain_for(width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) std::copy_n(w + ids[i] * width, width, y + i * width);
  });
}

void embedding(const EmbeddingArgs& args, std::span<std::byte>) {
  with_word(args.w.info->dtype, [&](auto word) { copy_rows<decltype(word)>(args); });
}

// Each thread owns some rows of dw and looks through all ids, so each row adds its places in their order.
template <class T>
void embedding_backward(const EmbeddingBackwardArgs& args, std::span<std::byte>) {
  const std::int64_t vocabulary = args.dw.info->shape[0], width = args.dw.info->shape[1];
  const std::int64_t places = args.ids.info->shape.numel();
  const auto* ids = args.ids.as<std::int64_t>();
  const T* dy = args.dy.as<T>();
  T* dw = args.dw.as<T>();
  parallel_for(vocabulary, grain_for(places * width / (vocabulary + 1) + width),
               [&](std::int64_t begin, std::int64_t end) {
                 std::fill(dw + begin * width, dw + end * width, T{0});
                 for (std::int64_t i = 0; i < places; ++i) {
                   if (ids[i] < begin || ids[i] >= end) continue;
                   for (std::int64_t c = 0; c < width; ++c) dw[ids[i] * width + c] += dy[i * width + c];
                 }
               });
}

}  // namespace

void fill_embedding() {
  fill_every_dtype(embedding_slot, embedding);
  fill_floating(embedding_backward_slot, embedding_backward<float>, embedding_backward<double>);
  fill_widened<embedding_backward_slot, &EmbeddingBackwardArgs::dy>();
}

}  // namespace reprise::cpu
