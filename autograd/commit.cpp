#include "reprise/autograd/commit.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "reprise/autograd/intrinsics.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/error.h"
#include "reprise/core/unlisted.h"

namespace reprise {
namespace {

// Of another handle, or of a tape: backward may hand out a saved value as it is, and to its tape it stays resident
// after the tape has let go of it.
bool is_shared(const Storage& storage) { return storage.references.load() > 1 || storage.table; }

Tensor copy_as_gradient(const Tensor& from) {
  Tensor copy = empty(from.info(), memory::Tag::gradient);
  if (!is_dry_run()) copy_bytes({from.impl()->data(), &from.info()}, {copy.impl()->data(), &copy.info()});
  return copy;
}

// The same value and buffer; what becomes of one handle does not touch the other.
Tensor another_handle(const Tensor& tensor) {
  const TensorImpl& from = *tensor.impl();
  Ref<TensorImpl> impl = make_impl();
  impl->info = from.info;
  impl->offset = from.offset;
  impl->storage = from.storage;
  impl->requires_grad = from.requires_grad;
  impl->leaf = from.leaf;
  impl->value = from.value;
  impl->serial = from.serial;
  return Tensor(std::move(impl));
}

// A leaf, and its .grad before.
struct Replaced {
  Ref<TensorImpl> leaf, gradient;
};

// Buffers of their own for a leaf's .grad and what is added to it, where others share them.
void own_buffers(const Ref<TensorImpl>& leaf, Tensor& more, std::vector<Replaced>& replaced) {
  const Ref<TensorImpl> sum = gradient_of(*leaf);
  if (!sum) {
    if (!sole_owner(more)) more = copy_as_gradient(more);
  } else if (is_shared(*sum->storage)) {  // since a backward that created a graph
    const Tensor copy = copy_as_gradient(Tensor(sum));
    replaced.push_back({leaf, sum});
    set_gradient(*leaf, copy.impl());
  } else if (sum->requires_grad) {  // its graph has ended: the sum is no value of that graph
    replaced.push_back({leaf, sum});
    set_gradient(*leaf, untracked(Tensor(sum)).impl());
  }
}

// A gradient made with create_graph is a value of its tape. Another graph cannot go on from it.
void check_graph(const TapeState& tape, const TensorImpl& leaf, const TensorImpl& sum) {
  if (!sum.requires_grad || tape.find_value(sum) >= 0) return;
  throw UserError(
      fmt::format("backward: the .grad of {}{}{} was made with create_graph on another tape, or on one that "
                  "has ended: call zero_grad() "
                  "before this backward, or set_grad(x.grad().detach()) to keep its values",
                  leaf.name ? *leaf.name : std::string(), leaf.name ? " " : "", to_string(leaf.info)));
}

}  // namespace

bool sole_owner(const Tensor& t) {
  const Ref<TensorImpl>& impl = t.impl();
  return impl.unique() && !is_shared(*impl->storage) && impl->storage->bytes == impl->info.bytes();
}

void add_in_place(const Tensor& to, const Tensor& more) {
  if (is_dry_run()) return;
  add_gradients_into({to.impl()->data(), &to.info()}, {more.impl()->data(), &more.info()});
}

void commit_gradient(const Ref<TensorImpl>& leaf, Tensor gradient, bool create_graph) {
  const Tensor sum(gradient_of(*leaf));
  if (!sum.defined()) {
    if (!create_graph && !sole_owner(gradient)) gradient = copy_as_gradient(gradient);
    if (!gradient.impl().unique()) gradient = another_handle(gradient);
    retag(*gradient.impl()->storage, memory::Tag::gradient);
    set_gradient(*leaf, gradient.impl());
  } else if (create_graph) {
    check_graph(*recording_tape(), *leaf, *sum.impl());
    set_gradient(*leaf, add_gradients(sum, std::move(gradient)).impl());
  } else {
    add_in_place(sum, gradient);
    if (is_dry_run()) return;
    ++sum.impl()->storage->version;
    note_gradient(*leaf);
  }
}

void commit_gradients(TapeState& tape, std::span<Tensor> gradients, bool create_graph) {
  const auto for_each_leaf = [&](auto&& f) {
    for (std::size_t v = 0; v < gradients.size(); ++v)
      // A copy: creating a graph appends values.
      if (const Ref<TensorImpl> leaf = tape.values[v].leaf; leaf && gradients[v].defined())
        f(leaf, gradients[v]);
  };
  // What can still fail comes first, and can be undone; adding in place cannot fail.
  std::vector<Replaced> replaced;
  try {
    for_each_leaf([&](const Ref<TensorImpl>& leaf, Tensor& gradient) {
      if (create_graph) {
        replaced.push_back({leaf, gradient_of(*leaf)});
        commit_gradient(leaf, std::move(gradient), true);
      } else {
        own_buffers(leaf, gradient, replaced);
      }
    });
  } catch (...) {
    for (auto entry = replaced.rbegin(); entry != replaced.rend(); ++entry)
      set_gradient(*entry->leaf, entry->gradient);
    throw;
  }
  if (create_graph) return;
  for_each_leaf([](const Ref<TensorImpl>& leaf, Tensor& gradient) {
    commit_gradient(leaf, std::move(gradient), false);
  });
}

}  // namespace reprise
