// Every file that Reprise writes is whole or unchanged, and a path that cannot be read or written is named.
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "reprise/autograd/plan.h"
#include "reprise/core/output_file.h"
#include "reprise/core/readable_file.h"
#include "reprise/core/safetensors.h"
#include "reprise/data/text.h"
#include "reprise/data/tokenizer.h"
#include "reprise/nn/models.h"
#include "reprise/nn/serialize.h"
#include "reprise/tests/temporary_folder.h"

using namespace reprise;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::set<std::string> names_in(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

// No file of this process may grow beyond `bytes`: as a full disk, but for the error's number.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    before_ = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit_);
    const rlimit small{bytes, limit_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &limit_);
    signal(SIGXFSZ, before_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit limit_{};
  void (*before_)(int) = SIG_DFL;
};

struct Writer {
  std::string name;
  std::function<void(const std::string&)> write;
};

// Everything in the library that writes a file.
std::vector<Writer> writers() {
  const Tensor ones = Tensor::ones({100});
  return {{"save_npy", [=](const std::string& path) { save_npy(ones, path); }},
          {"write_safetensors",
           [=](const std::string& path) {
             write_safetensors(path, {{"ones", ones}});
           }},
          {"nn::save",
           [](const std::string& path) {
             nn::Model model = nn::make_model("mlp");
             nn::save(model, path);
           }},
          {"Plan::save", [](const std::string& path) { Plan().save(path); }},
          {"Trace::save", [](const std::string& path) { Trace().save(path); }},
          {"Tokenizer::save",
           [](const std::string& path) { data::Tokenizer::characters("abcdefghijkl").save(path); }}};
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const FileError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("output file: a full disk leaves the older file whole, and nothing beside it", "[core][readers]") {
  for (const Writer& writer : writers()) {
    INFO(writer.name);
    const TemporaryFolder folder;
    const std::string path = folder / "file";
    std::ofstream(path) << "an older file";
    std::string error;
    {
      const FullDisk full(16);
      error = error_of([&] { writer.write(path); });
    }
    CHECK_THAT(error, Contains(path + ": cannot be written: File too large"));
    CHECK(content(path) == "an older file");
    CHECK(names_in(folder.path()) == std::set<std::string>{"file"});
    writer.write(path);
    CHECK(content(path) != "an older file");
    CHECK(names_in(folder.path()) == std::set<std::string>{"file"});
  }
}

TEST_CASE("output file: a path that cannot be written says why", "[core][readers]") {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "text";
  for (const Writer& writer : writers()) {
    INFO(writer.name);
    CHECK_THAT(error_of([&] { writer.write(folder.path()); }), Contains("Is a directory"));
    CHECK_THAT(error_of([&] { writer.write(folder / "none/file"); }),
               Contains("the folder " + (folder / "none") + " does not exist"));
    CHECK_THAT(error_of([&] { writer.write(folder / "file/below"); }), Contains("Not a directory"));
    CHECK_THAT(error_of([&] { writer.write("/proc/file"); }), Contains("/proc/file: cannot be written: "));
    CHECK_THAT(error_of([&] { writer.write(""); }), Contains("the path is empty"));
    CHECK_THAT(error_of([&] { writer.write("/dev/full"); }), Contains("No space left on device"));
  }
  CHECK_THAT(error_of([&] { check_writable(folder / "none/file"); }), Contains("does not exist"));
  CHECK_THAT(error_of([&] { check_writable(folder.path()); }), Contains("Is a directory"));
  check_writable(folder / "new");
  check_writable(folder / "file");
  CHECK(names_in(folder.path()) == std::set<std::string>{"file"});
  CHECK(content(folder / "file") == "text");
}

TEST_CASE("output file: a device stays a device, a link stays a link, permissions stay", "[core]") {
  const TemporaryFolder folder;
  replace_file("/dev/null", "text");
  CHECK(fs::is_character_file("/dev/null"));

  std::ofstream(folder / "target") << "old";
  fs::create_symlink(folder / "target", folder / "link");
  chmod((folder / "target").c_str(), 0640);
  replace_file(folder / "link", "new");
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(content(folder / "target") == "new");
  CHECK(fs::status(folder / "target").permissions() == fs::perms(0640));

  const std::string pipe = folder / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  check_writable(pipe);
  std::string read;
  std::thread reader([&] { read = content(pipe); });
  replace_file(pipe, "through the pipe");
  reader.join();
  CHECK(read == "through the pipe");
}

TEST_CASE("output file: what was not committed leaves no trace", "[core]") {
  const TemporaryFolder folder;
  {
    OutputFile file(folder / "file");
    file.write("half of it");
  }
  CHECK(names_in(folder.path()).empty());
}

TEST_CASE("readers: a folder, a pipe and a device are named as such", "[core][readers]") {
  const TemporaryFolder folder;
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  const std::vector<std::function<void(const std::string&)>> readers = {
      [](const std::string& path) { check_readable(path); },
      [](const std::string& path) { load_npy(path); },
      [](const std::string& path) { read_safetensors_header(path); },
      [](const std::string& path) { Plan::load(path); },
      [](const std::string& path) { Trace::load(path); },
      [](const std::string& path) { data::Tokenizer::load(path); },
      [](const std::string& path) { data::read_text(path, data::Tokenizer::Kind::bytes); },
  };
  for (const auto& read : readers) {
    CHECK_THAT(error_of([&] { read(folder.path()); }), Contains("is a folder, not a file"));
    CHECK_THAT(error_of([&] { read(folder / "pipe"); }), Contains("is a pipe, not a file"));
    CHECK_THAT(error_of([&] { read("/dev/zero"); }), Contains("is a device, not a file"));
    CHECK_THAT(error_of([&] { read(folder / "none"); }), Contains("none: no such file"));
  }
}
