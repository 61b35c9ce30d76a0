#include "reprise/checkpoint/online_eviction.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "reprise/autograd/tape_state.h"
#include "reprise/checkpoint/costs.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/error.h"
#include "reprise/core/memory.h"

namespace reprise::checkpoint {
namespace {

thread_local bool one_lives = false;

std::size_t live_data(Device device) {
  const auto tags = memory::by_tag(device);
  const auto data = tags.find(std::string(memory::to_string(memory::Tag::data)));
  return data == tags.end() ? 0 : data->second;
}

}  // namespace

class OnlineEviction::Evictor {
 public:
  Evictor(TapeState& tape, std::size_t budget, Device device)
      : tape_(tape), device_(device), limit_before_(memory::limit(device)) {
    memory::set_limit(device, std::min(limit_before_, budget + live_data(device)));
    memory::set_pressure_hook(&Evictor::relieve, this);
    one_lives = true;
  }
  ~Evictor() {
    memory::set_pressure_hook(nullptr, nullptr);
    memory::set_limit(device_, limit_before_);
    one_lives = false;
  }
  Evictor(const Evictor&) = delete;
  Evictor& operator=(const Evictor&) = delete;

  std::int64_t evictions = 0;

 private:
  static bool relieve(void* context, Device device, std::size_t missing) {
    auto& self = *static_cast<Evictor*>(context);
    return device == self.device_ && self.let_go(missing);
  }

  bool let_go(std::size_t missing) {
    meet_new_nodes();
    std::size_t freed = 0;
    while (freed < missing) {
      const Index victim = choose();
      if (victim < 0) break;
      freed += tape_.slot(victim).bytes;
      tape_.evict(victim);
      ++evictions;
    }
    return freed > 0;
  }

  // The readers of each slot and the cost of each node, since the last time. A failed walk may have taken nodes back.
  void meet_new_nodes() {
    if (seconds_.size() > tape_.nodes.size()) {
      seconds_.clear();
      readers_.clear();
    }
    readers_.resize(tape_.slots.size());
    mark_.resize(tape_.slots.size());
    for (auto n = static_cast<Index>(seconds_.size()); n < tape_.node_count(); ++n) {
      const Node& node = tape_.node(n);
      double bytes = 0;
      for (const Index v : tape_.inputs(node)) {
        bytes += static_cast<double>(tape_.value(v).info.bytes());
        readers_[static_cast<std::size_t>(tape_.value(v).slot)].push_back(n);
      }
      for (const Index v : tape_.outputs(node)) bytes += static_cast<double>(tape_.value(v).info.bytes());
      seconds_.push_back(tape_.is_view(node) ? 0 : modelled_seconds(tape_.flops(n), bytes));
    }
  }

  Index choose() {
    Index best = -1;
    double least = std::numeric_limits<double>::infinity();
    for (Index s = 0; s < static_cast<Index>(tape_.slots.size()); ++s) {
      if (!tape_.evictable(s) || tape_.slot(s).device != device_ || tape_.slot(s).bytes == 0) continue;
      const Slot& slot = tape_.slot(s);
      const auto age = static_cast<double>(tape_.clock - slot.touched + 1);
      const double score = seconds_with_neighbours(s) / (static_cast<double>(slot.bytes) * age);
      if (score >= least) continue;
      least = score;
      best = s;
    }
    return best;
  }

  // To make the slot again, with all that is gone and would be made on the way to it, or from it to what backward waits for.
  double seconds_with_neighbours(Index s) {
    const std::uint32_t mark = ++epoch_;
    mark_[static_cast<std::size_t>(s)] = mark;
    double sum = maker_seconds(s);
    const auto meet = [&](Index neighbour) {
      const Slot& slot = tape_.slot(neighbour);
      std::uint32_t& met = mark_[static_cast<std::size_t>(neighbour)];
      if (met == mark || slot.current || slot.maker < 0) return;
      met = mark;
      sum += maker_seconds(neighbour);
      queue_.push_back(neighbour);
    };
    for (const bool back : {true, false}) {
      queue_.assign(1, s);
      while (!queue_.empty()) {
        const Index at = queue_.back();
        queue_.pop_back();
        if (back) {
          for (const Index v : tape_.inputs(tape_.node(tape_.slot(at).maker))) meet(tape_.value(v).slot);
          continue;
        }
        for (const Index n : readers_[static_cast<std::size_t>(at)])
          for (const Index v : tape_.outputs(tape_.node(n)))
            if (tape_.slot(tape_.value(v).slot).holds > 0) meet(tape_.value(v).slot);
      }
    }
    return sum;
  }
  double maker_seconds(Index s) const { return seconds_[static_cast<std::size_t>(tape_.slot(s).maker)]; }

  TapeState& tape_;
  Device device_;
  std::size_t limit_before_;
  std::vector<double> seconds_;              // per node
  std::vector<std::vector<Index>> readers_;  // per slot: nodes
  std::vector<std::uint32_t> mark_;          // per slot: the last search that met it
  std::uint32_t epoch_ = 0;
  std::vector<Index> queue_;
};

OnlineEviction::OnlineEviction(Tape& tape, std::size_t budget, Device device) {
  if (is_dry_run())
    throw UserError("online eviction: no limit applies to a dry run, so that it foretells nothing here");
  if (one_lives) throw UserError("online eviction: another is active on this thread already");
  evictor_ = std::make_unique<Evictor>(tape.state(), budget, device);
}
OnlineEviction::~OnlineEviction() = default;

std::int64_t OnlineEviction::evictions() const { return evictor_->evictions; }

}  // namespace reprise::checkpoint
