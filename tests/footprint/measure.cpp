// Runs a program 20 times, prints the medians of its wall time, of the time it had a processor, and of the memory it
// reports. Fails when the memory's median is above its bound, or every run had a processor for longer than the bound on
// time: the wall time of a busy machine is the others' time.
// measure PROGRAM MILLISECONDS KILOBYTES
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

namespace {

double processor_milliseconds() {
  rusage usage = {};
  getrusage(RUSAGE_CHILDREN, &usage);
  const auto milliseconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3;
  };
  return milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  std::vector<double> wall, processor, kilobytes;
  for (int run = 0; run < 20; ++run) {
    const auto start = std::chrono::steady_clock::now();
    const double before = processor_milliseconds();
    std::FILE* output = popen(argv[1], "r");
    char line[128] = {};
    const bool read = output && std::fgets(line, sizeof line, output);
    if (!output || pclose(output) != 0 || !read) {
      std::cerr << argv[1] << " failed\n";
      return 1;
    }
    wall.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    processor.push_back(processor_milliseconds() - before);
    kilobytes.push_back(std::atof(line));
  }
  std::sort(wall.begin(), wall.end());
  std::sort(processor.begin(), processor.end());
  std::sort(kilobytes.begin(), kilobytes.end());
  std::cout << "median of 20: wall " << wall[10] << " ms, processor " << processor[10] << " ms, shortest "
            << processor[0] << " (at most " << argv[2] << "); " << kilobytes[10] << " kB (at most " << argv[3]
            << ")\n";
  return processor[0] <= std::atof(argv[2]) && kilobytes[10] <= std::atof(argv[3]) ? 0 : 1;
}
