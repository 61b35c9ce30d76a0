// Runs a program 20 times, prints the medians of its wall time and of the memory it reports, and fails when the memory's
// median or the shortest time is above its bound: on a busy machine the median is the others' time.
// measure PROGRAM MILLISECONDS KILOBYTES
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  std::vector<double> milliseconds, kilobytes;
  for (int run = 0; run < 20; ++run) {
    const auto start = std::chrono::steady_clock::now();
    std::FILE* output = popen(argv[1], "r");
    char line[128] = {};
    const bool read = output && std::fgets(line, sizeof line, output);
    if (!output || pclose(output) != 0 || !read) {
      std::cerr << argv[1] << " failed\n";
      return 1;
    }
    milliseconds.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    kilobytes.push_back(std::atof(line));
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  std::sort(kilobytes.begin(), kilobytes.end());
  std::cout << "median of 20: " << milliseconds[10] << " ms, shortest " << milliseconds[0] << " (at most "
            << argv[2] << "); " << kilobytes[10] << " kB (at most " << argv[3] << ")\n";
  return milliseconds[0] <= std::atof(argv[2]) && kilobytes[10] <= std::atof(argv[3]) ? 0 : 1;
}
