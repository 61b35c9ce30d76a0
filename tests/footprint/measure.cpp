// Runs a program 20 times; fails when the median of its wall time or of the memory it reports is above the bound.
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
  const auto median = [](std::vector<double>& list) {
    std::nth_element(list.begin(), list.begin() + 10, list.end());
    return list[10];
  };
  const double wall = median(milliseconds), highest = median(kilobytes);
  std::cout << "median of 20: " << wall << " ms (at most " << argv[2] << "), " << highest << " kB (at most "
            << argv[3] << ")\n";
  return wall <= std::atof(argv[2]) && highest <= std::atof(argv[3]) ? 0 : 1;
}
