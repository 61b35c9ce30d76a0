// Saved runs and everything that can end a process: kills and interrupts at random moments, and full disks. A resumed run
// ends with the bits of one that nobody disturbed, and its folder holds nothing else.
#include <signal.h>
#include <sys/mount.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "reprise/tests/cli_program.h"

using Catch::Contains;
using cli_test::content;
using cli_test::Program;
using cli_test::run;
using cli_test::operator+;
using Words = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

// An epoch is one step, so that the process saves all the time.
const Words kTrain = {"train",   "--model", "mlp",     "--data",      "synthetic", "--samples", "16",
                      "--batch", "16",      "--dtype", "f32",         "--threads", "1",         "--lr",
                      "1e-3",    "--seed",  "4",       "--optimizer", "adamw"};

Words fresh(const std::string& saved) { return kTrain + Words{"--epochs", "1000000", "--save", saved}; }

// Goes on with the run, or begins it if nothing was saved.
Words start(const std::string& saved) {
  return fs::exists(saved + "/state.json") ? Words{"train", "--resume", saved} : fresh(saved);
}

std::int64_t steps_of(const std::string& saved) {
  return nlohmann::json::parse(content(saved + "/state.json"))["step"];
}

// One more step, and the same number of steps by a run that nobody disturbed.
void check_undisturbed(const std::string& saved, const std::string& reference) {
  run({"train", "--resume", saved, "--steps", "1"});
  run(kTrain + Words{"--epochs", "1000000", "--save", reference, "--steps", std::to_string(steps_of(saved))});
  cli_test::check_equal_runs(reference, saved);
}

struct Moments {
  explicit Moments(unsigned seed) : engine(seed) {}
  std::mt19937 engine;
  int up_to(int most) { return std::uniform_int_distribution<int>(0, most)(engine); }
  void pause(int most_ms) { std::this_thread::sleep_for(std::chrono::milliseconds(up_to(most_ms))); }
};

void kills(int count) {
  const unsigned seed = std::random_device()();
  INFO("seed " << seed);
  Moments moments(seed);
  const TemporaryFolder folder;
  const std::string saved = folder / "saved";
  for (int i = 0; i < count; ++i) {
    Program program(start(saved));
    moments.pause(150);
    program.signal(SIGKILL);
    CHECK(program.wait().code == 1000 + SIGKILL);
  }
  Program program(start(saved));
  cli_test::wait_for(saved + "/state.json", program);
  program.signal(SIGKILL);
  program.wait();
  check_undisturbed(saved, folder / "reference");
}

void interrupts(int count) {
  const unsigned seed = std::random_device()();
  INFO("seed " << seed);
  Moments moments(seed);
  const TemporaryFolder folder;
  const std::string saved = folder / "saved";
  for (int i = 0; i < count; ++i) {
    Program program(start(saved));
    // From the moment on in which the run takes its folder, an interrupt is saved.
    cli_test::wait_for(saved + "/.reprise-lock", program);
    moments.pause(40);
    const int number = moments.up_to(1) == 0 ? SIGINT : SIGTERM;
    program.signal(number);
    if (moments.up_to(3) == 0) program.signal(number);  // a terminal and a supervisor may both send it
    const cli_test::Result result = program.wait();
    INFO("interrupt " << i << ": " << result.err);
    REQUIRE(result.code == 128 + number);
    REQUIRE(fs::exists(saved + "/state.json"));
    CHECK_FALSE(fs::exists(saved + "/.reprise-lock"));
  }
  check_undisturbed(saved, folder / "reference");
}

// A disk of its own in memory, if this user may mount one.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& path) : path_(path) {
    fs::create_directory(path);
    mounted_ = mount("none", path.c_str(), "tmpfs", 0, "size=4m") == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount(path_.c_str());
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }
  // Leaves this much of it free.
  void fill(std::uint64_t free) const {
    const std::uint64_t all = fs::space(path_).available;
    std::ofstream(path_ + "/filler") << std::string(all > free ? all - free : 0, 'x');
  }
  void empty() const { fs::remove(path_ + "/filler"); }
  bool forbid_writing() const {
    return mount("none", path_.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr) == 0;
  }

 private:
  const std::string path_;
  bool mounted_ = false;
};

void full_disks(int count) {
  const unsigned seed = std::random_device()();
  INFO("seed " << seed);
  Moments moments(seed);
  const TemporaryFolder folder;
  const std::string saved = folder / "saved";
  run(kTrain + Words{"--epochs", "1000000", "--steps", "2", "--save", saved});
  for (int i = 0; i < count; ++i) {
    const auto before = cli_test::tree(saved);
    // The weights have 400 kB, the optimizer's state twice as much.
    const auto limit = static_cast<std::uint64_t>(1000 + moments.up_to(850'000));
    INFO("files of at most " << limit << " bytes");
    const auto result =
        cli_test::reprise({"train", "--resume", saved, "--steps", "3"}, {.file_bytes = limit});
    if (result.code != 0) {
      CHECK(result.code == 1);
      CHECK_THAT(result.err, Contains("File too large"));
      CHECK((cli_test::tree(saved) == before));
      CHECK(std::distance(fs::directory_iterator(saved), fs::directory_iterator()) == 2);
    }
  }
  check_undisturbed(saved, folder / "reference");
}

}  // namespace

TEST_CASE("cli crash: kills at random moments lose nothing saved and leave nothing behind", "[cli][crash]") {
  kills(8);
}
TEST_CASE("cli crash: 100 kills", "[cli][crash][slow]") { kills(100); }

TEST_CASE("cli crash: interrupts at random moments are saved", "[cli][crash]") { interrupts(12); }
TEST_CASE("cli crash: 200 interrupts", "[cli][crash][slow]") { interrupts(200); }

TEST_CASE("cli crash: a full disk keeps the older state whole", "[cli][crash]") { full_disks(5); }
TEST_CASE("cli crash: 60 full disks", "[cli][crash][slow]") { full_disks(60); }

TEST_CASE("cli crash: a real disk that fills up, and one that forbids writing", "[cli][crash]") {
  const unsigned seed = std::random_device()();
  INFO("seed " << seed);
  Moments moments(seed);
  const TemporaryFolder folder;
  const SmallDisk disk(folder / "disk");
  if (!disk.mounted()) {
    WARN("skipped: this user may not mount a disk");
    return;
  }
  const std::string saved = folder / "disk/saved", reference = folder / "reference";
  run(kTrain + Words{"--epochs", "1000000", "--steps", "1", "--save", saved});
  for (int i = 0; i < 4; ++i) {
    disk.fill(static_cast<std::uint64_t>(moments.up_to(1'300'000)));
    const auto before = cli_test::tree(saved);
    const auto result = cli_test::reprise({"train", "--resume", saved, "--steps", "2"});
    INFO(result.out << result.err);
    if (result.code != 0) {
      CHECK(result.code == 1);
      CHECK_THAT(result.err, Contains("No space left on device"));
      CHECK((cli_test::tree(saved) == before));
    }
    disk.empty();
  }
  check_undisturbed(saved, reference);
  REQUIRE(disk.forbid_writing());
  const auto result = cli_test::reprise({"train", "--resume", saved, "--steps", "2"});
  CHECK(result.code == 1);
  CHECK_THAT(result.err, Contains("Read-only file system"));
  CHECK_THAT(result.out, !Contains("epoch"));
}

TEST_CASE("cli crash: a plan, a table and a frontier keep their older files on a full disk", "[cli][crash]") {
  const TemporaryFolder folder;
  const std::string file = folder / "file";
  for (const Words& words :
       {Words{"plan", "--model", "lenet", "--batch", "8", "--budget", "300MiB", "--out", file},
        Words{"compare", "--model", "mlp", "--steps", "1", "--batch", "4", "--json", file},
        Words{"plan", "--model", "mlp", "--batch", "8", "--sweep", file}, kTrain + Words{"--json", file}}) {
    for (const std::string& name : {file, file + ".csv", file + ".svg"})
      std::ofstream(name) << "an older one";
    const auto result = cli_test::reprise(words, {.file_bytes = 64});
    INFO(words[0] << ": " << result.out << result.err);
    CHECK(result.code != 0);
    for (const auto& [name, text] : cli_test::tree(folder.path())) CHECK(text == "an older one");
    CHECK(cli_test::tree(folder.path()).size() == 3);
  }
}
