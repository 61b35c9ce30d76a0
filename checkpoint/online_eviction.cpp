#include "reprise/checkpoint/online_eviction.h"

#include <atomic>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "reprise/autograd/tape_state.h"
#include "reprise/checkpoint/costs.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/error.h"
#include "reprise/core/memory.h"
#include "reprise/core/thread_budget.h"

namespace reprise::checkpoint {
namespace {

// How a thread's pressure hook finds the evictor, which may have ended on another thread.
struct Link {
  std::atomic<void*> evictor{nullptr};
};
const std::shared_ptr<Link>& this_threads_link() {
  struct Holder {
    std::shared_ptr<Link> link = std::make_shared<Link>();
    ~Holder() { memory::set_pressure_hook(nullptr, nullptr); }
  };
  thread_local Holder holder;
  return holder.link;
}

}  // namespace

// An eviction costs the same on a long tape as on a short one. Many candidates are sampled, and the cost of each is
// remembered until bytes come or go near it.
class OnlineEviction::Evictor {
 public:
  Evictor(TapeState& tape, std::size_t budget, Device device)
      : tape_(tape), life_(tape.life), device_(device), link_(this_threads_link()) {
    budget_ = Ref<memory::ThreadBudget>(new memory::ThreadBudget(device, budget));
    for (Index s = 0; s < static_cast<Index>(tape_.slots.size()); ++s) moved_.push_back(s);
    tape_.moved = &moved_;
    memory::set_thread_budget(budget_);
    link_->evictor = this;
    memory::set_pressure_hook(&Evictor::relieve, link_.get());
  }
  ~Evictor() {
    link_->evictor = nullptr;
    budget_->end();
    if (memory::thread_budget() == budget_.get()) {
      memory::set_pressure_hook(nullptr, nullptr);
      memory::set_thread_budget({});
    }
    if (!life_->ended) tape_.moved = nullptr;
  }
  Evictor(const Evictor&) = delete;
  Evictor& operator=(const Evictor&) = delete;

  std::int64_t evictions = 0;

 private:
  static constexpr std::size_t kSample = 64;       // candidates looked at for an eviction
  static constexpr std::size_t kNeighbours = 512;  // edges followed for a cost
  static constexpr double kUnknown = -1;

  static bool relieve(void* context, Device device, std::size_t missing) {
    auto* self = static_cast<Evictor*>(static_cast<Link*>(context)->evictor.load());
    return self && !self->life_->ended && device == self->device_ && self->let_go(missing);
  }

  bool let_go(std::size_t missing) {
    if (evicting_) return false;  // an observer of the drop that we cause asks for memory
    const Busy busy(&tape_);
    evicting_ = true;
    meet_new_nodes();
    std::size_t freed = 0;
    while (freed < missing) {
      follow_moves();
      const Index victim = choose();
      if (victim < 0) break;
      freed += tape_.slot(victim).bytes;
      tape_.evict(victim);
      ++evictions;
    }
    evicting_ = false;
    return freed > 0;
  }

  // The readers of each slot and the cost of each node, since the last time. A failed walk may have taken nodes back.
  void meet_new_nodes() {
    if (seconds_.size() > tape_.nodes.size()) {
      seconds_.clear();
      readers_.clear();
      costs_.clear();
    }
    const std::size_t slots = tape_.slots.size();
    readers_.resize(slots);
    mark_.resize(slots);
    costs_.resize(slots, kUnknown);
    in_pool_.resize(slots);
    for (auto n = static_cast<Index>(seconds_.size()); n < tape_.node_count(); ++n) {
      const Node& node = tape_.node(n);
      double bytes = 0;
      for (const Index v : tape_.inputs(node)) {
        bytes += static_cast<double>(tape_.value(v).info.bytes());
        readers_[index(tape_.value(v).slot)].push_back(n);
      }
      for (const Index v : tape_.outputs(node)) bytes += static_cast<double>(tape_.value(v).info.bytes());
      seconds_.push_back(tape_.is_view(node) ? 0 : modelled_seconds(tape_.flops(n), bytes));
    }
  }

  // A slot that has bytes again is a candidate again. Costs near slots that came or went are found anew.
  void follow_moves() {
    for (const Index s : moved_) {
      if (index(s) >= in_pool_.size()) continue;  // a failed walk took it back
      const Slot& slot = tape_.slot(s);
      if (slot.maker < 0) continue;
      if (slot.current && !in_pool_[index(s)] && !slot.permanent && slot.bytes > 0 &&
          slot.device == device_) {
        in_pool_[index(s)] = true;
        pool_.push_back(s);
      }
      forget_costs_around(s);
    }
    moved_.clear();
  }

  Index choose() {
    best_ = -1;
    least_ = std::numeric_limits<double>::infinity();
    if (pool_.size() > kSample) {
      std::size_t seen = 0;
      for (std::size_t tries = 0; seen < kSample && tries < 4 * kSample && !pool_.empty(); ++tries)
        seen += consider(next_random() % pool_.size());
      if (best_ >= 0) return best_;
    }
    for (std::size_t i = pool_.size(); i-- > 0;) consider(i);
    return best_;
  }

  // Could this member of the pool go? One without bytes leaves the pool.
  bool consider(std::size_t place) {
    const Index s = pool_[place];
    if (index(s) >= tape_.slots.size() || !tape_.slot(s).current) {
      if (index(s) < in_pool_.size()) in_pool_[index(s)] = false;
      pool_[place] = pool_.back();
      pool_.pop_back();
      return false;
    }
    if (!tape_.evictable(s)) return false;
    const Slot& slot = tape_.slot(s);
    double& cost = costs_[index(s)];
    if (cost == kUnknown) cost = seconds_with_neighbours(s);
    const auto age = static_cast<double>(tape_.clock - slot.touched + 1);
    const double score = cost / (static_cast<double>(slot.bytes) * age);
    if (score > least_ || (score == least_ && s > best_)) return true;
    least_ = score;
    best_ = s;
    return true;
  }

  // Calls f for the slots that the maker of `at` reads (back), or for those that the readers of `at` make. Stops when
  // patience is 0.
  template <class F>
  void for_neighbours(Index at, bool back, std::size_t& patience, F&& f) {
    if (back) {
      for (const Index v : tape_.inputs(tape_.node(tape_.slot(at).maker))) {
        if (patience == 0) return;
        --patience;
        f(tape_.value(v).slot);
      }
      return;
    }
    for (const Index n : readers_[index(at)])
      for (const Index v : tape_.outputs(tape_.node(n))) {
        if (patience == 0) return;
        --patience;
        f(tape_.value(v).slot);
      }
  }

  // The time to make the slot again, with its neighbours that are gone. Some lie on the way to it, the others on the way
  // from it to values that backward waits for.
  double seconds_with_neighbours(Index s) {
    begin_search(s);
    double sum = maker_seconds(s);
    for (const bool back : {true, false}) {
      std::size_t patience = kNeighbours;
      queue_.assign(1, s);
      while (!queue_.empty()) {
        const Index at = queue_.back();
        queue_.pop_back();
        for_neighbours(at, back, patience, [&](Index neighbour) {
          if (!is_gone(neighbour) || (!back && tape_.slot(neighbour).holds == 0) || !meet(neighbour)) return;
          sum += maker_seconds(neighbour);
          queue_.push_back(neighbour);
        });
      }
    }
    return sum;
  }

  // The costs of s and of all that has bytes and whose search would come to s.
  void forget_costs_around(Index s) {
    begin_search(s);
    costs_[index(s)] = kUnknown;
    std::size_t patience = 2 * kNeighbours;
    queue_.assign(1, s);
    while (!queue_.empty()) {
      const Index at = queue_.back();
      queue_.pop_back();
      for (const bool back : {true, false})
        for_neighbours(at, back, patience, [&](Index neighbour) {
          if (tape_.slot(neighbour).maker < 0 || !meet(neighbour)) return;
          if (is_gone(neighbour))
            queue_.push_back(neighbour);
          else
            costs_[index(neighbour)] = kUnknown;
        });
    }
  }

  void begin_search(Index s) {
    if (++epoch_ == 0) {
      mark_.assign(mark_.size(), 0);
      epoch_ = 1;
    }
    mark_[index(s)] = epoch_;
  }
  bool meet(Index s) { return std::exchange(mark_[index(s)], epoch_) != epoch_; }
  bool is_gone(Index s) const { return !tape_.slot(s).current && tape_.slot(s).maker >= 0; }
  double maker_seconds(Index s) const { return seconds_[index(tape_.slot(s).maker)]; }
  static std::size_t index(Index i) { return static_cast<std::size_t>(i); }

  // The same numbers in every run, so that a step's replays are too.
  std::size_t next_random() {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return random_ >> 16;
  }

  TapeState& tape_;
  std::shared_ptr<const TapeLife> life_;
  Device device_;
  std::shared_ptr<Link> link_;
  Ref<memory::ThreadBudget> budget_;
  bool evicting_ = false;
  std::vector<Index> moved_;                 // slots, since the last time
  std::vector<Index> pool_;                  // slots with bytes that may be evictable
  std::vector<std::uint8_t> in_pool_;        // per slot
  std::vector<double> seconds_;              // per node
  std::vector<std::vector<Index>> readers_;  // per slot: nodes
  std::vector<double> costs_;                // per slot: seconds_with_neighbours
  std::vector<std::uint32_t> mark_;          // per slot: the last search that met it
  std::uint32_t epoch_ = 0;
  std::vector<Index> queue_;
  std::size_t random_ = 0x9E3779B97F4A7C15U;
  Index best_ = -1;
  double least_ = 0;
};

OnlineEviction::OnlineEviction(Tape& tape, std::size_t budget, Device device) {
  if (is_dry_run())
    throw UserError("online eviction: no limit applies to a dry run, so that it foretells nothing here");
  tape.state().check_usable("online eviction");
  if (this_threads_link()->evictor.load())
    throw UserError("online eviction: another is active on this thread already");
  evictor_ = std::make_unique<Evictor>(tape.state(), budget, device);
}
OnlineEviction::~OnlineEviction() = default;

std::int64_t OnlineEviction::evictions() const { return evictor_->evictions; }

}  // namespace reprise::checkpoint
