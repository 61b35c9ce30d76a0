// Runs kernels: blocks one after the other, the threads of a block as fibers that give way at barriers.
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <csignal>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "reprise/tests/cuda_emulator/cudnn_object.h"
#include "reprise/tests/cuda_emulator/execution.h"
#include "reprise/tests/cuda_emulator/graphs.h"
#include "reprise/tests/cuda_emulator/memory.h"
#include "reprise/tests/cuda_emulator/races.h"
#include "reprise/tests/cuda_emulator/streams.h"

#ifndef __x86_64__
#error "the emulator's fibers are written for x86-64"
#endif

// Saves the registers that a call keeps on the stack, stores the stack's top in *from and goes on at the stack `to`.
extern "C" void reprise_emulator_switch(void** from, void* to);
asm(R"(
.text
.globl reprise_emulator_switch
.type reprise_emulator_switch, @function
reprise_emulator_switch:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
.size reprise_emulator_switch, . - reprise_emulator_switch
)");

namespace reprise::emulator {

Position position;
std::byte* shared_bytes = nullptr;

namespace {

constexpr int kLanes = 32;
constexpr int kMaxThreads = 1024;
constexpr std::size_t kStackBytes = 64 << 10;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kMaxSharedBytes = 48 << 10;  // without asking for more

enum class State { not_started, ready, at_barrier, at_warp, done };

struct Thread {
  State state = State::not_started;
  void* stack = nullptr;      // what its fiber runs on
  void* stack_top = nullptr;  // where it goes on
  uint3 index = {};
  WarpOp op = WarpOp::synchronize;
  unsigned mask = 0;
  std::uint64_t value = 0;
  int argument = 0;
};

// What runs now. One kernel runs at a time.
const std::function<void()>* kernel_body = nullptr;
Thread* running = nullptr;
void* scheduler_top = nullptr;
std::string fault_text;  // not empty: the kernel is given up

void give_way() { reprise_emulator_switch(&running->stack_top, scheduler_top); }

void fail(const std::string& what) {
  if (fault_text.empty()) fault_text = what;
}

extern "C" void reprise_emulator_fiber() {
  (*kernel_body)();
  running->state = State::done;
  give_way();
}

// A kernel that touches what it may not is left where it stands.
void on_fault(int, siginfo_t* info, void*) {
  if (!running) {
    signal(SIGSEGV, SIG_DFL);  // a fault of the host: it happens again, for good
    return;
  }
  fail(device_memory().has_address(info->si_addr) ? "touches memory that it was not given"
                                                  : "touches an address that is not the device's");
  give_way();
}

// Stacks that a block's fibers take and give back.
class Stacks {
 public:
  void* take() {
    if (free_.empty()) {
      void* stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (stack == MAP_FAILED) std::abort();
      return stack;
    }
    void* stack = free_.back();
    free_.pop_back();
    return stack;
  }
  void give(void* stack) { free_.push_back(stack); }

 private:
  std::vector<void*> free_;
};
Stacks stacks;

// The page behind the shared memory cannot be touched; what a block wrote is gone in the next.
class SharedMemory {
 public:
  SharedMemory() {
    pages_ = static_cast<std::byte*>(
        mmap(nullptr, kMaxSharedBytes + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(pages_ + kMaxSharedBytes, kPage, PROT_NONE);
  }
  std::byte* poisoned(std::size_t bytes) {
    const std::size_t rounded = (bytes + 15) / 16 * 16;
    std::byte* data = pages_ + kMaxSharedBytes - rounded;
    std::memset(data, 0xff, rounded);
    return data;
  }

 private:
  std::byte* pages_;
};

class Block {
 public:
  Block(dim3 size, std::mt19937_64& random)
      : threads_(size.x * size.y * size.z), order_(threads_.size()), random_(random) {
    unsigned i = 0;
    for (unsigned z = 0; z < size.z; ++z)
      for (unsigned y = 0; y < size.y; ++y)
        for (unsigned x = 0; x < size.x; ++x) threads_[i++].index = {x, y, z};
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    if (settings().schedule == Schedule::reverse) std::reverse(order_.begin(), order_.end());
  }

  void run() {
    for (;;) {
      if (settings().schedule == Schedule::random) std::shuffle(order_.begin(), order_.end(), random_);
      bool moved = false;
      for (const std::size_t i : order_) {
        Thread& thread = threads_[i];
        if (thread.state != State::not_started && thread.state != State::ready) continue;
        resume(thread);
        moved = true;
        if (!fault_text.empty()) return abandon();
      }
      const auto count = [&](State state) {
        return std::count_if(threads_.begin(), threads_.end(),
                             [=](const Thread& t) { return t.state == state; });
      };
      const auto all = static_cast<std::ptrdiff_t>(threads_.size());
      const auto done = count(State::done), at_barrier = count(State::at_barrier);
      if (done == all) return;
      if (at_barrier == all) {
        pass_barrier();
        for (Thread& thread : threads_) thread.state = State::ready;
        continue;
      }
      for (std::size_t first = 0; first < threads_.size(); first += kLanes)
        moved = complete_warp(first) || moved;
      if (!fault_text.empty()) return abandon();
      if (moved) continue;
      fail(at_barrier > 0 ? "waits at __syncthreads for threads that do not come"
                          : "waits in a warp operation for lanes that do not come");
      return abandon();
    }
  }

 private:
  void resume(Thread& thread) {
    if (thread.state == State::not_started) {
      thread.stack = stacks.take();
      // What the switch pops: six registers and the fiber's first instruction, at the alignment of a called function.
      void** top = reinterpret_cast<void**>(static_cast<std::byte*>(thread.stack) + kStackBytes) - 2;
      *top = reinterpret_cast<void*>(&reprise_emulator_fiber);
      std::fill_n(top - 6, 6, nullptr);
      thread.stack_top = top - 6;
    }
    thread.state = State::ready;
    running = &thread;
    position.thread = thread.index;
    set_thread(static_cast<int>(&thread - threads_.data()));
    reprise_emulator_switch(&scheduler_top, thread.stack_top);
    set_thread(-1);
    running = nullptr;
    if (thread.state == State::done) {
      stacks.give(thread.stack);
      thread.stack = nullptr;
    }
  }

  // Lets the lanes of a warp go on that are named by one mask and have all come to the same operation.
  bool complete_warp(std::size_t first) {
    bool any = false;
    const std::size_t lanes = std::min<std::size_t>(kLanes, threads_.size() - first);
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const Thread& leader = threads_[first + lane];
      if (leader.state != State::at_warp || !everyone_is_here(leader, first, lanes)) continue;
      const WarpOp op = leader.op;
      const bool whole = static_cast<std::size_t>(std::popcount(leader.mask)) == lanes;
      exchange_values(op, leader.mask, first);
      if (op == WarpOp::synchronize && whole) pass_warp(first / kLanes);
      any = true;
    }
    return any;
  }

  bool everyone_is_here(const Thread& leader, std::size_t first, std::size_t lanes) const {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      if ((leader.mask >> lane & 1U) == 0) continue;
      if (lane >= lanes) return false;
      const Thread& thread = threads_[first + lane];
      if (thread.state != State::at_warp || thread.mask != leader.mask || thread.op != leader.op)
        return false;
    }
    return true;
  }

  void exchange_values(WarpOp op, unsigned mask, std::size_t first) {
    std::array<std::uint64_t, kLanes> values = {};
    std::uint64_t ballot = 0;
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      if (mask >> lane & 1U) {
        values[lane] = threads_[first + lane].value;
        ballot |= static_cast<std::uint64_t>(values[lane] != 0) << lane;
      }
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      if ((mask >> lane & 1U) == 0) continue;
      Thread& thread = threads_[first + lane];
      const auto argument = static_cast<std::size_t>(thread.argument);
      std::size_t source = lane;
      if (op == WarpOp::exchange_xor) source = lane ^ argument;
      if (op == WarpOp::exchange_down && lane + argument < kLanes) source = lane + argument;
      if (op == WarpOp::exchange_index) source = argument;
      if (source >= kLanes || (mask >> source & 1U) == 0)
        fail("reads from a lane outside the mask of a shuffle");
      thread.value = op == WarpOp::ballot ? ballot : values[source % kLanes];
      thread.state = State::ready;
    }
  }

  void abandon() {
    for (Thread& thread : threads_)
      if (thread.stack) stacks.give(thread.stack);
  }

  std::vector<Thread> threads_;
  std::vector<std::size_t> order_;
  std::mt19937_64& random_;
};

cudaError_t run_kernel(const char* name, const Launch& asked, const std::function<void()>& body) {
  static SharedMemory shared;
  struct sigaction action = {}, before = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSEGV, &action, &before);

  const dim3 grid = asked.grid;
  kernel_body = &body;
  fault_text.clear();
  begin_launch();
  position.block_size = asked.block;
  position.grid_size = grid;
  std::mt19937_64 random(settings().seed);
  std::vector<std::uint64_t> blocks(std::size_t{grid.x} * grid.y * grid.z);
  std::iota(blocks.begin(), blocks.end(), std::uint64_t{0});
  if (settings().schedule == Schedule::reverse) std::reverse(blocks.begin(), blocks.end());
  if (settings().schedule == Schedule::random) std::shuffle(blocks.begin(), blocks.end(), random);
  for (const std::uint64_t block : blocks) {
    position.block = {static_cast<unsigned>(block % grid.x), static_cast<unsigned>(block / grid.x % grid.y),
                      static_cast<unsigned>(block / grid.x / grid.y)};
    shared_bytes = shared.poisoned(asked.shared_bytes);
    begin_block(shared_bytes, asked.shared_bytes);
    Block(asked.block, random).run();
    if (!fault_text.empty()) break;
  }
  sigaction(SIGSEGV, &before, nullptr);
  if (fault_text.empty()) return cudaSuccess;
  set_fault(std::string(name) + " " + fault_text);
  return fault_text.starts_with("touches") ? cudaErrorIllegalAddress : cudaErrorLaunchFailure;
}

}  // namespace

std::int64_t launches = 0;

void give_up_kernel(const std::string& what) {
  fail(what);
  give_way();
}

void synchronize_block() {
  running->state = State::at_barrier;
  give_way();
}

std::uint64_t synchronize_warp(WarpOp op, unsigned mask, std::uint64_t value, int argument) {
  const unsigned lane =
      (position.thread.x +
       position.block_size.x * (position.thread.y + position.block_size.y * position.thread.z)) %
      kLanes;
  if ((mask >> lane & 1U) == 0) fail("calls a warp operation with a mask that lacks its own lane");
  running->op = op;
  running->mask = mask;
  running->value = value;
  running->argument = argument;
  running->state = State::at_warp;
  give_way();
  return running->value;
}

bool is_device_pointer(const void* data, cudaStream_t stream) {
  return device_memory().has_address(data) &&
         device_memory().device_of(data).value_or(device_of(stream)) == device_of(stream);
}

cudaError_t launch(const char* name, const Launch& asked, std::function<void()> body) {
  if (sticky_error() != cudaSuccess) return sticky_error();
  if (device_of(asked.stream) != current_device()) return cudaErrorInvalidResourceHandle;
  const dim3 grid = asked.grid, block = asked.block;
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffU || grid.y > 65535 || grid.z > 65535 ||
      threads == 0 || threads > kMaxThreads || block.z > 64)
    return cudaErrorInvalidConfiguration;
  if (asked.shared_bytes > kMaxSharedBytes) return cudaErrorInvalidValue;
  if (is_capture_invalid(asked.stream)) return cudaErrorStreamCaptureInvalidated;
  ++launches;
  submit(asked.stream, [=, body = std::move(body)] {
    return is_to_fail(name) ? cudaErrorLaunchFailure : run_kernel(name, asked, body);
  });
  return sticky_error();
}

}  // namespace reprise::emulator
