#include "reprise/checkpoint/optimum/replay_problem.h"

#include <algorithm>

#include "reprise/checkpoint/candidates.h"
#include "reprise/checkpoint/simulate.h"
#include "reprise/core/error.h"

namespace reprise::checkpoint {
namespace {

std::size_t at(std::int32_t i) { return static_cast<std::size_t>(i); }

void check_one_walk(const Trace& trace) {
  std::size_t walks = 0;
  bool node_after = false;
  for (const TraceEvent& event : trace.events) {
    if (event.kind == TraceEvent::Kind::backward) ++walks;
    if (event.kind == TraceEvent::Kind::node && walks > 0) node_after = true;
  }
  if (walks != 1 || node_after)
    throw UserError("the optimum is known for steps of one forward pass and one backward only");
}

class Measure {
 public:
  explicit Measure(const Trace& trace) : trace_(trace) {
    problem_.forward = forward_buffers(trace);
    problem_.forward_highest.resize(problem_.forward.reads.size());
  }

  // What only the tape holds is taken off what lives when it keeps everything. In a region a backward lets go of what it has
  // read when it is done with that, not at its end: so all of it is measured a second time as one region, whose values are
  // made again before the first backward.
  ReplayProblem measure() && {
    std::int64_t after = 0;
    for (const Moment& moment : moments(trace_, plan_of(trace_, {}))) {
      if (moment.node >= nodes()) continue;
      const std::int64_t highest = static_cast<std::int64_t>(moment.highest) - held(moment);
      if (moment.event == Event::forward) problem_.forward_highest[at(moment.node)] = highest;
      if (moment.event == Event::backward)
        problem_.backwards.push_back({moment.node, after - held(moment), highest});
      after = static_cast<std::int64_t>(moment.after);
    }
    Plan again = plan_of(trace_, {{0, nodes()}});
    again.regions[0].eager = true;
    auto backward = problem_.backwards.begin();
    for (const Moment& moment : moments(trace_, again)) {
      if (moment.node >= nodes()) continue;
      if (moment.event == Event::backward) {
        backward->highest =
            std::min(backward->highest, static_cast<std::int64_t>(moment.highest) - held(moment));
        backward->before = std::min(backward->before, after - held(moment));
        ++backward;
      }
      after = static_cast<std::int64_t>(moment.after);
    }
    return std::move(problem_);
  }

 private:
  std::int32_t nodes() const { return static_cast<std::int32_t>(problem_.forward.reads.size()); }

  // Bytes of buffers that live at this moment when everything is kept, and that nobody but the tape or the forward pass holds.
  std::int64_t held(const Moment& moment) const {
    std::int64_t bytes = 0;
    for (const ForwardBuffer& buffer : problem_.forward.buffers) {
      const bool saved = !buffer.savers.empty() && buffer.savers.front() <= moment.node,
                 alive = moment.event == Event::forward && buffer.last_alive >= moment.node,
                 lives_on = buffer.last_alive == nodes();
      if (!lives_on && buffer.maker <= moment.node && (saved || alive)) bytes += buffer.bytes;
    }
    return bytes;
  }

  const Trace& trace_;
  ReplayProblem problem_;
};

}  // namespace

ReplayProblem replay_problem(const Trace& trace) {
  check_one_walk(trace);
  return Measure(trace).measure();
}

}  // namespace reprise::checkpoint
