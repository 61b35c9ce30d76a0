// A fuzzer without coverage: random mutations of the target's seeds and of a folder of inputs.
//
//   fuzz_npy [--seconds S] [--seed N] [--write-seeds DIR] [FILE or FOLDER...]
//
// S seconds of CPU time, 3 by default. Files are run once each and nothing else happens. A failing input is written to
// failure-TARGET in the current folder.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "reprise/tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;
constexpr std::size_t kLargest = 1 << 16;
constexpr unsigned kSecondsPerInput = 20;

// For the handler of signals, which may not allocate.
std::string current;
std::string failure_file;

void save_failure(int signal) {
  const int file = open(failure_file.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0644);
  if (file >= 0 && write(file, current.data(), current.size()) >= 0) close(file);
  constexpr char kMessage[] = "the failing input is in failure-TARGET\n";
  if (write(2, kMessage, sizeof kMessage - 1) < 0) _exit(1);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(const std::string& input) {
  current = input;
  alarm(kSecondsPerInput);
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(current.data()), current.size());
}

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  std::string operator()(const std::vector<std::string>& corpus) {
    std::string bytes = pick(corpus);
    for (std::size_t count = 1 + below(4); count > 0; --count) mutate(bytes, corpus);
    if (bytes.size() > kLargest) bytes.resize(kLargest);
    return bytes;
  }

 private:
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(random_() % end); }
  const std::string& pick(const std::vector<std::string>& list) { return list[below(list.size())]; }

  void mutate(std::string& bytes, const std::vector<std::string>& corpus) {
    static const std::vector<std::string> kTokens = {"0",
                                                     "-1",
                                                     "1e999",
                                                     "1.5",
                                                     "9223372036854775807",
                                                     "18446744073709551616",
                                                     "4294967296",
                                                     "null",
                                                     "[]",
                                                     "{}",
                                                     "\"\"",
                                                     "true",
                                                     ",",
                                                     ":",
                                                     "{\"a\":1}",
                                                     "[[",
                                                     std::string(4, '\xff'),
                                                     std::string(8, '\0'),
                                                     std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8),
                                                     "\xed\xa0\x80",
                                                     "NaN",
                                                     "-0"};
    const std::size_t place = below(bytes.size() + 1);
    const std::size_t length = std::min(bytes.size() - place, 1 + below(16));
    switch (below(9)) {
      case 0:
        if (place < bytes.size()) bytes[place] = static_cast<char>(bytes[place] ^ (1 << below(8)));
        return;
      case 1:
        if (place < bytes.size()) bytes[place] = static_cast<char>(below(256));
        return;
      case 2:
        bytes.erase(place, length);
        return;
      case 3:
        bytes.insert(place, bytes.substr(below(bytes.size() + 1), 1 + below(32)));
        return;
      case 4:
        bytes.insert(place, pick(kTokens));
        return;
      case 5:
        bytes.replace(place, length, pick(kTokens));
        return;
      case 6:
        bytes.resize(place);
        return;
      case 7: {
        const std::string& other = pick(corpus);
        bytes = bytes.substr(0, place) + other.substr(below(other.size() + 1));
        return;
      }
      default:
        change_number(bytes, place);
    }
  }

  // The digits from `place` on become another number: still JSON, other sizes.
  void change_number(std::string& bytes, std::size_t place) {
    static const std::vector<std::string> kNumbers = {
        "0", "1", "2", "3", "7", "255", "65536", "4294967295", "9223372036854775808", "1000000000000"};
    const std::size_t first = bytes.find_first_of("0123456789", place);
    if (first == std::string::npos) return;
    const std::size_t end = std::min(bytes.find_first_not_of("0123456789", first), bytes.size());
    bytes.replace(first, end - first, below(2) ? pick(kNumbers) : std::to_string(below(40)));
  }

  std::mt19937_64 random_;
};

std::vector<std::string> read_inputs(const std::vector<std::string>& paths) {
  std::vector<std::string> inputs;
  for (const std::string& path : paths)
    if (fs::is_directory(path)) {
      for (const auto& entry : fs::directory_iterator(path))
        inputs.push_back(reprise::fuzz::content_of(entry.path().string()));
    } else {
      inputs.push_back(reprise::fuzz::content_of(path));
    }
  return inputs;
}

void write_seeds(const std::string& folder) {
  fs::create_directories(folder);
  int number = 0;
  for (const std::string& seed : reprise::fuzz::seeds())
    std::ofstream(folder + "/seed-" + std::to_string(number++), std::ios::binary) << seed;
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = 3;
  std::uint64_t seed = static_cast<std::uint64_t>(std::time(nullptr));
  std::vector<std::string> paths;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    const bool has_value = i + 1 < argc;
    if (option == "--seconds" && has_value) {
      seconds = std::atof(argv[++i]);
    } else if (option == "--seed" && has_value) {
      seed = std::strtoull(argv[++i], nullptr, 10);
    } else if (option == "--write-seeds" && has_value) {
      write_seeds(argv[++i]);
      return 0;
    } else {
      paths.push_back(option);
    }
  }
  failure_file = "failure-" + fs::path(argv[0]).filename().string();
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM})
    std::signal(signal, save_failure);
#if !defined(__SANITIZE_ADDRESS__)
  const rlimit memory{std::uint64_t{4} << 30,
                      std::uint64_t{4} << 30};  // a size out of a file throws bad_alloc
  setrlimit(RLIMIT_AS, &memory);
#endif

  const std::vector<std::string> given = read_inputs(paths);
  for (const std::string& input : given) run(input);
  if (!given.empty()) {
    std::printf("%zu inputs\n", given.size());
    return 0;
  }
  const std::vector<std::string> corpus = reprise::fuzz::seeds();
  for (const std::string& input : corpus) run(input);
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  Mutator mutator(seed);
  std::uint64_t executions = corpus.size();
  const auto cpu_seconds = [] { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; };
  for (; cpu_seconds() < seconds; ++executions) run(mutator(corpus));
  std::printf("%llu executions in %.0f s of CPU time\n", static_cast<unsigned long long>(executions),
              cpu_seconds());
  return 0;
}
