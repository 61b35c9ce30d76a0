#pragma once
// Finds races within a launch: two threads touch a byte, one of them by a plain write or against an atomic, and nothing
// orders them. Threads of different blocks are ordered by nothing, those of one block by __syncthreads, those of one warp
// also by a __syncwarp of the whole warp; shuffles order no memory. What is found does not depend on the order in which the
// emulator runs threads.
//
// g++ compiles kernels with -fsanitize=thread, which calls a function at each access to memory; races.cpp defines those
// functions in place of ThreadSanitizer's library, and remembers who touched what of device and shared memory.
#include <cstddef>
#include <string>

namespace reprise::emulator {

void begin_launch();
void begin_block(std::byte* shared, std::size_t shared_size);
void pass_barrier();                 // all threads of the block have come to it
void pass_warp(std::size_t number);  // all lanes of the warp have come to a __syncwarp
// Accesses are this thread's from now on; -1: the host's, which are not looked at.
void set_thread(int number);

// Called on a thread's fiber, and does not return (blocks.cpp).
void give_up_kernel(const std::string& what);

}  // namespace reprise::emulator
