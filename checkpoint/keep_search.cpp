#include "reprise/checkpoint/keep_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "reprise/checkpoint/keep_sets.h"
#include "reprise/checkpoint/kept_buffers.h"

namespace reprise::checkpoint {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::size_t at(std::int32_t i) { return static_cast<std::size_t>(i); }

class Search {
 public:
  Search(const Trace& trace, Candidates& candidates, std::size_t budget, int rounds)
      : trace_(trace),
        forward_(forward_buffers(trace)),
        candidates_(candidates),
        budget_(budget),
        rounds_(rounds) {}

  void run() {
    if (!reach(kept_buffers(forward_, candidates_.best_plan()), rounds_ / 2)) {
      // In small steps, each from what the one before has reached.
      const std::size_t budget = std::exchange(budget_, lowest_peak_);
      while (budget_ > budget && rounds_ > 0) {
        budget_ = std::max(budget, lowest_peak_ - lowest_peak_ / 100);
        if (!reach(lowest_, rounds_ / 4)) return;
      }
    }
    constexpr std::int32_t kMostNodes = 64;  // of larger graphs it would take more than a second
    constexpr double kDear = 0.1;            // of the forward pass
    double forward = 0;
    for (std::int32_t n = 0; n < nodes(); ++n) forward += seconds(n);
    if (nodes() <= kMostNodes && least_ < kInfinity && least_ >= kDear * forward) anneal(2 * rounds_);
    wander();
  }

 private:
  std::int32_t nodes() const { return static_cast<std::int32_t>(forward_.reads.size()); }
  std::int32_t buffers() const { return static_cast<std::int32_t>(forward_.buffers.size()); }
  const ForwardBuffer& buffer(std::int32_t b) const { return forward_.buffers[at(b)]; }
  double bytes(std::int32_t b) const { return static_cast<double>(buffer(b).bytes); }
  double seconds(std::int32_t n) const { return trace_.nodes[at(n)].seconds; }
  bool lives_on(std::int32_t b) const { return buffer(b).last_alive == nodes(); }
  bool fits(const Simulation& judged) const { return judged.peak_bytes <= budget_; }
  // Of larger ones costs are estimated, for an exact one takes a look at every node.
  bool small() const { return nodes() <= 1000; }

  Simulation judge(const KeptBuffers& state, const Demand& now) {
    --rounds_;
    KeepPlan plan = keep_plan(forward_, state, now);
    Simulation judged = candidates_.consider(std::move(plan.regions), std::move(plan.decisions));
    if (judged.peak_bytes < lowest_peak_) {
      lowest_peak_ = judged.peak_bytes;
      lowest_ = state;
    }
    return judged;
  }

  // Is there a plan within the budget? The cheapest found is then best_. All starts are brought within it, the best three improved.
  bool reach(const KeptBuffers& from, int rounds) {
    const int until = std::max(0, rounds_ - rounds);
    least_ = kInfinity;
    std::vector<KeptBuffers> starts = priced(rounds / 4);
    starts.push_back(kept_buffers(forward_, {}));
    starts.push_back(from);
    struct Fitting {
      double seconds;
      KeptBuffers state;
    };
    std::vector<Fitting> fitting;
    for (std::size_t i = starts.size(); i-- > 0;) {
      until_ = std::max(until, rounds_ - std::max(8, rounds / 16));
      state_ = std::move(starts[i]);
      if (let_go_until_it_fits()) fitting.push_back({seconds_, state_});
    }
    std::stable_sort(fitting.begin(), fitting.end(),
                     [](const Fitting& x, const Fitting& y) { return x.seconds < y.seconds; });
    for (std::size_t i = 0; i < std::min<std::size_t>(3, fitting.size()); ++i)
      descend(fitting[i].state, (rounds_ - until) / 2);
    return least_ < kInfinity;
  }

  bool descend(const KeptBuffers& start, int rounds) {
    until_ = std::max(0, rounds_ - rounds);
    state_ = start;
    if (!let_go_until_it_fits()) return false;
    improve();
    if (seconds_ <= least_) {
      least_ = seconds_;
      best_ = state_;
    }
    return true;
  }

  // `rounds` plans more, of single changes at random: dearer ones and such that are over the budget are gone through too, ever less
  // so (Kirkpatrick et al., Optimization by simulated annealing, 1983).
  void anneal(int rounds) {
    constexpr double kOver = 20;  // so many times best_'s seconds does a plan of twice the budget count more
    constexpr double kHeat = 0.07;  // of best_'s seconds
    std::mt19937 random(1);
    const auto worse = [this, least = least_](const Simulation& judged) {
      const auto peak = static_cast<double>(judged.peak_bytes), budget = static_cast<double>(budget_);
      return judged.replayed_seconds / least + kOver * std::max(0.0, peak / budget - 1);
    };
    KeptBuffers place = best_;
    double here = 1;
    for (const int until = std::exchange(rounds_, rounds_ + rounds); rounds_ > until && least_ > 0;) {
      const double heat = kHeat * static_cast<double>(rounds_ - until) / rounds;
      KeptBuffers next = changed(place, random);
      const Simulation judged = judge(next, demand(forward_, next));
      if (fits(judged) && judged.replayed_seconds < least_) {
        least_ = judged.replayed_seconds;
        best_ = next;
      }
      const double there = worse(judged);
      const double chance = static_cast<double>(random()) / static_cast<double>(std::mt19937::max());
      if (there > here && std::exp((here - there) / heat) < chance) continue;
      place = std::move(next);
      here = there;
    }
  }

  // From one place where no exchange helps to another that is not much dearer; now and then back to the best.
  void wander() {
    constexpr double kDearer = 1.1;
    constexpr int kSteps = 10;
    std::mt19937 random(1);
    KeptBuffers place;
    double here = 0;
    for (int step = 0; rounds_ > 0 && least_ > 0 && least_ < kInfinity; ++step) {
      if (step % kSteps == 0) {
        place = best_;
        here = least_;
      }
      if (!descend(changed(place, random), rounds_) || seconds_ > kDearer * here) continue;
      place = state_;
      here = seconds_;
    }
  }

  // Half of the time without one to three of its cuts, and mostly with as many other changes close to each other.
  KeptBuffers changed(KeptBuffers state, std::mt19937& random) const {
    const auto below = [&](std::int32_t n) { return static_cast<std::int32_t>(random() % at(n)); };
    std::vector<std::int32_t> cuts;
    for (std::int32_t n = 1; n < nodes(); ++n)
      if (state.cut[at(n)]) cuts.push_back(n);
    if (!cuts.empty() && below(2) == 0) {
      const auto count = static_cast<std::int32_t>(cuts.size());
      const std::int32_t one = below(count);
      for (std::int32_t i = one; i < std::min(count, one + 1 + below(3)); ++i)
        state.cut[at(cuts[at(i)])] = false;
      if (below(2) == 0) return state;
    }
    const std::int32_t first = below(nodes());
    for (std::int32_t changes = 1 + below(3); changes > 0; --changes) {
      const std::int32_t n = std::min(nodes() - 1, first + below(8));
      if (below(6) == 0)
        state.cut[at(n)] = !state.cut[at(n)];
      else
        for (const std::int32_t b : forward_.makes[at(n)])
          if (!lives_on(b)) state.kept[at(b)] = !state.kept[at(b)];
    }
    return state;
  }

  // ---- prices

  // A moment that is over the budget gets dearer; all get cheaper when the plan fits.
  std::vector<KeptBuffers> priced(int rounds) {
    double cheapest = kInfinity;
    for (std::int32_t b = 0; b < buffers(); ++b)
      if (const double s = seconds(buffer(b).maker); s > 0 && buffer(b).bytes > 0)
        cheapest = std::min(cheapest, s / bytes(b));
    std::vector<double> in_backward(at(nodes())), in_forward(at(nodes()));
    std::vector<KeptBuffers> starts;
    Simulation judged;
    const int until = rounds_ - rounds;
    for (int step = 0; step < 120 && rounds_ > until; ++step) {
      KeptBuffers state = cheapest_at(in_backward, in_forward);
      if (starts.empty() || !(starts.back() == state)) {
        judged = judge(state, demand(forward_, state));
        starts.push_back(std::move(state));
      }
      if (fits(judged)) {
        for (std::vector<double>* prices : {&in_backward, &in_forward})
          for (double& price : *prices) price *= 0.8;
        continue;
      }
      if (judged.peak_node >= nodes()) break;
      double& price =
          judged.peak_backward < 0 ? in_forward[at(judged.peak_node)] : in_backward[at(judged.peak_backward)];
      price = std::max(cheapest, 1.3 * price);
    }
    if (starts.size() > 16) starts.erase(starts.begin(), starts.end() - 16);
    return starts;
  }

  // Seconds for a byte, of each node's moment in the backward and in the forward pass.
  KeptBuffers cheapest_at(const std::vector<double>& in_backward,
                          const std::vector<double>& in_forward) const {
    std::vector<double> backward_before(at(nodes()) + 1), forward_before(at(nodes()) + 1);
    for (std::size_t n = 0; n < in_backward.size(); ++n) {
      backward_before[n + 1] = backward_before[n] + in_backward[n];
      forward_before[n + 1] = forward_before[n] + in_forward[n];
    }
    std::vector<double> prices;
    for (std::int32_t b = 0; b < buffers(); ++b) {
      const ForwardBuffer& one = buffer(b);
      // What is let go of is not there from its last handle's end on until the first backward that reads it.
      double price = forward_before.back() - forward_before[at(std::max(one.maker, one.last_alive + 1))];
      const std::vector<std::int32_t>& users = one.savers.empty() ? one.readers : one.savers;
      if (!users.empty()) price += backward_before.back() - backward_before[at(users.front())];
      for (const std::int32_t n : users) price -= in_backward[at(n)];
      prices.push_back(lives_on(b) ? 0 : std::max(0.0, price) * bytes(b));
    }
    KeptBuffers state{cheapest_kept(trace_, forward_, prices), std::vector<bool>(at(nodes()))};
    for (std::int32_t b = 0; b < buffers(); ++b)
      if (prices[at(b)] == 0 && !buffer(b).savers.empty()) state.kept[at(b)] = true;
    const auto dearest = std::max_element(in_backward.begin(), in_backward.end());
    if (dearest != in_backward.end() && *dearest > 0)
      cut_if_crossed(state, static_cast<std::int32_t>(dearest - in_backward.begin()));
    return state;
  }

  // ---- lower peaks

  struct Move {
    std::int32_t buffer;
    double seconds;
  };

  // Seconds that running its maker again takes, with all that it needs and that does not run yet.
  double seconds_without(std::int32_t b, const KeptBuffers& state, const Demand& now) const {
    constexpr std::size_t kMostNodes = 64;
    double sum = 0;
    std::vector<std::int32_t> run{buffer(b).maker}, seen;
    while (!run.empty()) {
      const std::int32_t n = run.back();
      run.pop_back();
      if (now.runs[at(n)] || std::find(seen.begin(), seen.end(), n) != seen.end()) continue;
      if (seen.size() == kMostNodes) return kInfinity;
      seen.push_back(n);
      sum += seconds(n);
      for (const std::int32_t in : forward_.reads[at(n)])
        if (!state.kept[at(in)] && n < now.next_cut[at(buffer(in).maker)]) run.push_back(buffer(in).maker);
    }
    return sum;
  }

  // Buffers whose absence lowers the peak, those first that cost the fewest seconds for a byte.
  std::vector<Move> relieving(const KeptBuffers& state, const Demand& now, const Simulation& over) const {
    const std::int32_t n = over.peak_node, t = over.peak_backward;
    std::vector<Move> moves;
    for (std::int32_t b = 0; b < buffers(); ++b) {
      const ForwardBuffer& one = buffer(b);
      if (!state.kept[at(b)] || now.last_use[at(b)] < 0 || lives_on(b) || one.bytes == 0) continue;
      const bool relieves = t < 0
                                ? one.maker <= n && one.last_alive < n && now.first_held[at(b)] == nodes()
                                : one.maker < t && now.first_held[at(b)] > t &&
                                      std::find(one.savers.begin(), one.savers.end(), t) == one.savers.end();
      if (relieves) moves.push_back({b, seconds_without(b, state, now)});
    }
    std::stable_sort(moves.begin(), moves.end(), [&](const Move& x, const Move& y) {
      return x.seconds * bytes(y.buffer) < y.seconds * bytes(x.buffer);
    });
    return moves;
  }

  // Lets go of what lowers the peak by the excess: the cheapest one by one, or one alone where that costs less. False where it
  // costs more than `most` seconds.
  bool relieve(KeptBuffers& state, Demand& now, const Simulation& over, double most) const {
    const auto excess = static_cast<std::int64_t>(over.peak_bytes - budget_);
    std::vector<Move> moves = relieving(state, now, over);
    std::erase_if(moves, [&](const Move& move) { return buffer(move.buffer).bytes * 100 < excess; });
    double several = 0;
    std::int64_t relieved = 0;
    const Move* alone = nullptr;
    for (const Move& move : moves) {
      if (relieved < excess) several += move.seconds;
      relieved += buffer(move.buffer).bytes;
      if (buffer(move.buffer).bytes >= excess && (!alone || move.seconds < alone->seconds)) alone = &move;
    }
    if (relieved < excess) return false;
    if (alone && alone->seconds < several) moves = {*alone};
    relieved = 0;
    for (const Move& move : moves) {
      most -= small() ? seconds_without(move.buffer, state, now) : move.seconds;
      if (most < 0) return false;
      state.kept[at(move.buffer)] = false;
      // Who has read it before the peak then has it from the forward pass.
      const std::int32_t t = over.peak_backward;
      if (t > buffer(move.buffer).maker && now.last_use[at(move.buffer)] > t) state.cut[at(t)] = true;
      if (small()) now = demand(forward_, state);
      relieved += buffer(move.buffer).bytes;
      if (relieved >= excess) break;
    }
    now = demand(forward_, state);
    return true;
  }

  // A region that holds node n and some before: the earlier part may wait until n's backward is done.
  bool cut_if_crossed(KeptBuffers& state, std::int32_t n) const {
    if (n <= 0 || state.cut[at(n)]) return false;
    const Demand now = demand(forward_, state);
    bool crossed = false;
    for (std::int32_t b = 0; b < buffers() && !crossed; ++b)
      crossed = !state.kept[at(b)] && buffer(b).maker < n && now.last_use[at(b)] >= n;
    if (crossed) state.cut[at(n)] = true;
    return crossed;
  }

  // Bytes that are there again at the backward of node t, though it is for backwards after it that they stay: a value that ran
  // again before t needed them.
  std::int64_t early_bytes(const KeptBuffers& state, std::int32_t t) const {
    const Demand now = demand(forward_, state);
    std::vector<std::int32_t> own(at(buffers()), -1),
        since;  // last backward that reads it; the one it is made for
    for (std::int32_t b = 0; b < buffers(); ++b)
      for (const std::int32_t n : buffer(b).savers)
        if (n < now.next_cut[at(buffer(b).maker)]) own[at(b)] = n;
    since = own;
    std::int64_t early = 0;
    for (std::int32_t n = nodes() - 1; n >= 0; --n) {
      if (!now.runs[at(n)]) continue;
      std::int32_t runs_for = -1;
      for (const std::int32_t b : forward_.makes[at(n)]) {
        if (state.kept[at(b)]) continue;
        runs_for = std::max(runs_for, since[at(b)]);
        if (own[at(b)] >= 0 && own[at(b)] < t && since[at(b)] >= t) early += buffer(b).bytes;
      }
      for (const std::int32_t b : forward_.reads[at(n)])
        if (!state.kept[at(b)] && n < now.next_cut[at(buffer(b).maker)])
          since[at(b)] = std::max(since[at(b)], runs_for);
    }
    return early;
  }

  // Keeps the values of the one node whose absence brings the most bytes back early.
  bool break_chain(KeptBuffers& state, std::int32_t t) const {
    if (t < 0 || !small()) return false;
    const std::int64_t early = early_bytes(state, t);
    if (early == 0) return false;
    std::int64_t most = 0;
    std::int32_t best = -1;
    KeptBuffers trial = state;
    for (std::int32_t n = 0; n < t; ++n) {
      std::int64_t more = 0;
      trial = state;
      for (const std::int32_t b : forward_.makes[at(n)]) {
        if (!state.kept[at(b)]) more += buffer(b).bytes;
        trial.kept[at(b)] = true;
      }
      if (more == 0) continue;
      if (const std::int64_t less = early - early_bytes(trial, t) - more; less > most) {
        most = less;
        best = n;
      }
    }
    if (best >= 0)
      for (const std::int32_t b : forward_.makes[at(best)]) state.kept[at(b)] = true;
    return best >= 0;
  }

  // Tries another state; it stands if its peak is lower.
  bool lowers(const KeptBuffers& trial, KeptBuffers& state, Demand& now, Simulation& over) {
    Demand then = demand(forward_, trial);
    Simulation judged = judge(trial, then);
    if (judged.peak_bytes >= over.peak_bytes) return false;
    state = trial;
    now = std::move(then);
    over = std::move(judged);
    return true;
  }

  // By keeping more or by a cut where that does, else by what costs the least.
  bool lower_peak(KeptBuffers& state, Demand& now, Simulation& over, double most) {
    KeptBuffers trial = state;
    if (break_chain(trial, over.peak_backward) && lowers(trial, state, now, over)) return true;
    trial = state;
    if (cut_if_crossed(trial, over.peak_backward) && lowers(trial, state, now, over)) return true;
    if (!relieve(state, now, over, most)) return false;
    over = judge(state, now);
    return true;
  }

  bool let_go_until_it_fits() {
    if (rounds_ <= until_) return false;
    Demand now = demand(forward_, state_);
    Simulation judged = judge(state_, now);
    // What is let go of at one moment may be there again at another, on and on.
    constexpr int kMostInVain = 12;
    std::size_t lowest = judged.peak_bytes;
    for (int in_vain = 0; !fits(judged); ++in_vain) {
      if (rounds_ <= until_ || in_vain == kMostInVain || !lower_peak(state_, now, judged, kInfinity))
        return false;
      if (judged.peak_bytes < lowest) {
        lowest = judged.peak_bytes;
        in_vain = 0;
      }
    }
    seconds_ = judged.replayed_seconds;
    return true;
  }

  // ---- keep more

  // With all that node n makes, without which it would run again for the rest.
  KeptBuffers keeping(std::int32_t n) const {
    KeptBuffers with = state_;
    for (const std::int32_t b : forward_.makes[at(n)]) with.kept[at(b)] = true;
    return with;
  }

  // Seconds that this saves, for a byte.
  double gain(std::int32_t n, const Demand& now) const {
    double saved = 0, more = 1;
    for (const std::int32_t b : forward_.makes[at(n)])
      if (now.wanted[at(b)] && !state_.kept[at(b)]) more += bytes(b);
    if (!small()) return seconds(n) / more;
    const Demand then = demand(forward_, keeping(n));
    for (std::int32_t i = 0; i < nodes(); ++i)
      if (now.runs[at(i)] && !then.runs[at(i)]) saved += seconds(i);
    return saved / more;
  }

  // Values of one node more, in exchange for others where they cost less.
  void improve() {
    for (bool better = true; better && rounds_ > until_;) {
      better = false;
      const Demand now = demand(forward_, state_);
      std::vector<std::pair<double, std::int32_t>> gains;
      for (std::int32_t n = 0; n < nodes(); ++n)
        if (now.runs[at(n)]) gains.emplace_back(gain(n, now), n);
      std::stable_sort(gains.begin(), gains.end(),
                       [](const auto& x, const auto& y) { return x.first > y.first; });
      for (const auto& [gained, n] : gains) {
        if (rounds_ <= until_) return;
        better |= exchange_for(n);
      }
    }
  }

  bool exchange_for(std::int32_t n) {
    constexpr int kMostSteps = 6;
    KeptBuffers trial = keeping(n);
    if (trial == state_) return false;
    Demand now = demand(forward_, trial);
    Simulation judged = judge(trial, now);
    for (int step = 0; judged.replayed_seconds < seconds_; ++step) {
      if (fits(judged)) {
        state_ = std::move(trial);
        seconds_ = judged.replayed_seconds;
        return true;
      }
      if (step == kMostSteps || rounds_ <= until_) return false;
      if (!lower_peak(trial, now, judged, seconds_ - judged.replayed_seconds)) return false;
    }
    return false;
  }

  const Trace& trace_;
  const ForwardBuffers forward_;
  Candidates& candidates_;
  std::size_t budget_;
  int rounds_, until_ = 0;  // plans that may still be judged: `until_` are left when a descent ends
  KeptBuffers state_, best_, lowest_;       // of a descent; cheapest within the budget; of the lowest peak
  double seconds_ = 0, least_ = kInfinity;  // what the first two lose to replays
  std::size_t lowest_peak_ = std::numeric_limits<std::size_t>::max();
};

}  // namespace

void search_keep_sets(const Trace& trace, Candidates& candidates, std::size_t budget, int rounds) {
  Search(trace, candidates, budget, rounds).run();
}

}  // namespace reprise::checkpoint
