// `reprise train --save`: nothing but what the program made is removed or replaced, and what cannot be saved is said before
// the first step.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "reprise/tests/cli_program.h"

using Catch::Contains;
using cli_test::content;
using cli_test::reprise;
using cli_test::run;
using cli_test::tree;
using cli_test::operator+;
using Words = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

const Words kTrain = {"train", "--data", "synthetic", "--samples", "32", "--batch", "16", "--threads", "1"};

nlohmann::json state_of(const std::string& saved) {
  return nlohmann::json::parse(content(saved + "/state.json"));
}

// No step was made: there is no line of an epoch.
void check_refused_at_once(const Words& words, int code, const Words& parts,
                           const cli_test::Surroundings& surroundings = {}) {
  std::string line;
  for (const std::string& word : words) line += " " + word;
  INFO("reprise" << line);
  const cli_test::Result result = reprise(words, surroundings);
  INFO(result.out);
  CHECK(result.code == code);
  CHECK_THAT(result.out, !Contains("epoch"));
  for (const std::string& part : parts) CHECK_THAT(result.err, Contains(part));
}

std::string write_text(const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  for (int i = 0; i < 40; ++i) file << "a sentence of a few words;\n";
  return path;
}

const Words kGpt = {"--model", "gpt", "--layers",  "1", "--width", "8",
                    "--heads", "1",   "--context", "8", "--batch", "4"};

}  // namespace

TEST_CASE("cli save: folders and files of the user stay, whatever their names", "[cli]") {
  const TemporaryFolder folder;
  const std::string saved = folder / "saved";
  const Words names = {"step-by-step-notes/mine.txt",
                       "step-1/mine.txt",
                       "step-2/weights.safetensors",
                       "step-4.partial/mine.txt",
                       "step-99/mine.txt",
                       "notes.txt",
                       "step-3",
                       "state.json.partial",
                       "lock"};
  for (const std::string& name : names) {
    fs::create_directories(fs::path(saved + "/" + name).parent_path());
    std::ofstream(saved + "/" + name) << "mine";
  }
  run(kTrain + Words{"--model", "mlp", "--epochs", "2", "--save", saved});
  run({"train", "--resume", saved, "--epochs", "3"});
  run(kTrain + Words{"--model", "mlp", "--epochs", "2", "--save", saved, "--overwrite"});
  for (const std::string& name : names) {
    INFO(name);
    CHECK(content(saved + "/" + name) == "mine");
  }
  // Three of the run: its state, weights and optimizer.
  CHECK(tree(saved).size() == names.size() + 3);
}

TEST_CASE("cli save: another run is replaced only if --overwrite asks for it", "[cli]") {
  const TemporaryFolder folder;
  const std::string saved = folder / "saved", other = folder / "other";
  run(kTrain + Words{"--model", "mlp", "--epochs", "2", "--save", saved});
  run(kTrain + Words{"--model", "mlp", "--seed", "7", "--save", other});
  const auto before = tree(saved), before_other = tree(other);
  const Words wanted = {"--save " + saved, "a saved run is there already", "--resume", "--overwrite"};
  check_refused_at_once(kTrain + Words{"--model", "chain", "--save", saved}, 2, wanted);
  check_refused_at_once(kTrain + Words{"--model", "mlp", "--seed", "3", "--save", saved}, 2, wanted);
  check_refused_at_once({"train", "--resume", other, "--epochs", "2", "--save", saved}, 2, wanted);
  CHECK(tree(saved) == before);
  // A run that goes on names its own folder, in whatever way.
  run({"train", "--resume", saved, "--epochs", "3", "--save", saved + "/../saved"});
  CHECK(state_of(saved)["epoch"] == 3);
  // A new run that does not get as far as a save replaces nothing.
  const auto third = tree(saved);
  CHECK(reprise(kTrain + Words{"--model", "mlp", "--save", saved, "--overwrite", "--memory-limit", "1000"})
            .code == 1);
  CHECK(tree(saved) == third);
  run({"train", "--resume", other, "--epochs", "2", "--save", saved, "--overwrite"});
  CHECK(state_of(saved)["settings"]["seed"] == 7);
  CHECK(tree(saved).size() == 3);
  CHECK(tree(other) == before_other);
  check_refused_at_once(kTrain + Words{"--model", "mlp", "--overwrite"}, 2, {"--overwrite", "--save"});
}

TEST_CASE("cli save: paths that cannot be written are found before the first step", "[cli]") {
  const TemporaryFolder folder;
  const std::string file = folder / "file", none = folder / "none/result";
  std::ofstream(file) << "a file";
  for (const std::string& path : {file, file + "/run", std::string("/proc/run"), std::string("/dev/null")})
    check_refused_at_once(kTrain + Words{"--model", "mlp", "--save", path}, 1, {path});
  const Words files = {none, folder.path(), file + "/below", "/proc/file"};
  for (const std::string& path : files) {
    check_refused_at_once(kTrain + Words{"--model", "mlp", "--json", path}, 1, {path, "cannot be written"});
    check_refused_at_once({"compare", "--model", "mlp", "--steps", "1", "--json", path}, 1, {path});
    // Planning prints its first line after the step was run dry.
    const auto plan = reprise({"plan", "--model", "mlp", "--budget", "1GiB", "--out", path});
    CHECK(plan.code == 1);
    CHECK(plan.out.empty());
    CHECK_THAT(plan.err, Contains(path));
  }
  check_refused_at_once({"plan", "--model", "mlp", "--sweep", none}, 1, {none});
  fs::create_directory(folder / "sweep.svg");
  check_refused_at_once({"plan", "--model", "mlp", "--sweep", folder / "sweep"}, 1, {"sweep.svg"});
  CHECK(fs::is_empty(folder / "sweep.svg"));
  CHECK_FALSE(fs::exists(folder / "sweep.csv"));
  CHECK(content(file) == "a file");
}

TEST_CASE("cli save: a folder that forbids writing is found before the first step", "[cli]") {
  if (geteuid() == 0) {
    WARN("skipped: root may write everywhere");
    return;
  }
  const TemporaryFolder folder;
  const std::string closed = folder / "closed";
  fs::create_directory(closed);
  chmod(closed.c_str(), 0555);
  check_refused_at_once(kTrain + Words{"--model", "mlp", "--save", closed}, 1, {closed, "Permission denied"});
  check_refused_at_once(kTrain + Words{"--model", "mlp", "--json", closed + "/json"}, 1,
                        {"Permission denied"});
  chmod(closed.c_str(), 0755);
}

TEST_CASE("cli save: a run that ends before its first save leaves no folder behind", "[cli]") {
  const TemporaryFolder folder;
  const std::string saved = folder / "saved";
  CHECK(reprise(kTrain + Words{"--model", "mlp", "--save", saved, "--memory-limit", "1000"}).code == 1);
  CHECK_FALSE(fs::exists(saved));
  CHECK(reprise({"train", "--resume", saved}).code == 1);
  CHECK_FALSE(fs::exists(saved));
}

TEST_CASE("cli save: a second run into the same folder is refused", "[cli]") {
  const TemporaryFolder folder;
  const std::string saved = folder / "saved";
  cli_test::Program first(kTrain + Words{"--model", "mlp", "--epochs", "1000000", "--save", saved});
  cli_test::wait_for(saved + "/state.json", first);
  const Words wanted = {saved, "another process saves a run here"};
  check_refused_at_once({"train", "--resume", saved, "--epochs", "9"}, 1, wanted);
  check_refused_at_once(kTrain + Words{"--model", "mlp", "--save", saved, "--overwrite"}, 1, wanted);
  CHECK_FALSE(first.ended());
  first.signal(SIGINT);
  CHECK(first.wait().code == 128 + SIGINT);
  run({"train", "--resume", saved, "--steps", "1"});
}

TEST_CASE("cli save: a run is resumed from any folder, and a text that has gone is named", "[cli]") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "elsewhere");
  const std::string saved = folder / "saved", text = write_text(folder / "text");
  const auto trained =
      reprise(Words{"train", "--data", "text:text", "--steps", "2", "--save", "saved"} + kGpt,
              {.folder = folder.path()});
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  CHECK(state_of(saved)["settings"]["data"] == "text:" + text);
  const auto resumed =
      reprise({"train", "--resume", saved, "--steps", "1"}, {.folder = folder / "elsewhere"});
  INFO(resumed.err);
  CHECK(resumed.code == 0);
  // A relative path on the command line means the folder in which it was typed.
  fs::rename(text, folder / "elsewhere/moved");
  check_refused_at_once({"train", "--resume", saved}, 1, {text, "no such file", "--data text:FILE"});
  const auto moved = reprise({"train", "--resume", saved, "--data", "text:moved", "--steps", "1"},
                             {.folder = folder / "elsewhere"});
  INFO(moved.err);
  CHECK(moved.code == 0);
  CHECK(state_of(saved)["settings"]["data"] == "text:" + (folder / "elsewhere/moved"));
  CHECK(state_of(saved)["step"] == 4);
}

TEST_CASE("cli save: names that are not UTF-8", "[cli]") {
  const TemporaryFolder folder;
  const std::string text = write_text(folder / "t\xe9xt"), saved = folder / "s\xe9";
  const Words train = Words{"train", "--data", "text:" + text, "--steps", "1"} + kGpt;
  check_refused_at_once(train + Words{"--save", folder / "saved"}, 2, {"not UTF-8", "rename it"});
  check_refused_at_once(train + Words{"--json", folder / "json"}, 2, {"not UTF-8"});
  run(train);
  // The folder's own name stands in no file.
  run(kTrain + Words{"--model", "mlp", "--save", saved, "--json", folder / "j\xe9"});
  run({"train", "--resume", saved, "--epochs", "2"});
}

TEST_CASE("cli save: a text that is no file is named as what it is", "[cli]") {
  const TemporaryFolder folder;
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  const auto train = [](const std::string& path) { return Words{"train", "--data", "text:" + path} + kGpt; };
  check_refused_at_once(train(folder.path()), 1, {folder.path(), "is a folder"});
  check_refused_at_once(train(folder / "pipe"), 1, {"pipe", "is a pipe"});
  check_refused_at_once(train("/dev/zero"), 1, {"/dev/zero", "is a device"});
  check_refused_at_once(train(folder / "none"), 1, {"none", "no such file"});
}

TEST_CASE("cli save: numbers and names that no run has are refused in state.json", "[cli]") {
  const TemporaryFolder folder;
  const std::string saved = folder / "saved", file = saved + "/state.json";
  run(kTrain + Words{"--model", "mlp", "--save", saved});
  const nlohmann::json state = state_of(saved);
  const std::vector<std::pair<std::string, nlohmann::json>> wrong = {{"/settings/batch", 0},
                                                                     {"/settings/batch", -5},
                                                                     {"/settings/batch", 1e300},
                                                                     {"/settings/batch", 16.5},
                                                                     {"/settings/threads", 4294967297},
                                                                     {"/random/offset", -1},
                                                                     {"/settings/dropout", "much"},
                                                                     {"/batch", 1.5},
                                                                     {"/settings/samples", 0},
                                                                     {"/settings/epochs", -1},
                                                                     {"/settings/layers", 1000000000},
                                                                     {"/settings/threads", 100000},
                                                                     {"/settings/threads", -1},
                                                                     {"/settings/lr", -1},
                                                                     {"/settings/lr", nullptr},
                                                                     {"/settings/optimizer", "best"},
                                                                     {"/settings/model", "alexnet"},
                                                                     {"/settings/schedule", "random"},
                                                                     {"/epoch", -1},
                                                                     {"/batch", -1},
                                                                     {"/step", -1},
                                                                     {"/loss_sum", nullptr},
                                                                     {"/folder", "../elsewhere"},
                                                                     {"/folder", "/etc"},
                                                                     {"/folder", 5},
                                                                     {"/random/seed", "x"},
                                                                     {"/format", 99},
                                                                     {"/results", 3}};
  for (const auto& [place, value] : wrong) {
    nlohmann::json changed = state;
    changed[nlohmann::json::json_pointer(place)] = value;
    std::ofstream(file) << changed.dump();
    const auto result = reprise({"train", "--resume", saved, "--epochs", "2"});
    INFO(place << " = " << value << ": " << result.err);
    CHECK(result.code == 1);
    CHECK_THAT(result.err, Contains("state.json"));
  }
  std::ofstream(file) << state.dump();
  run({"train", "--resume", saved, "--epochs", "2"});
}

TEST_CASE("cli train: the epoch's loss is the mean over its samples", "[cli]") {
  // With a rate of 0 the weights stay, so the mean over all samples is the same however they are divided.
  const TemporaryFolder folder;
  const std::string json = folder / "json";
  std::vector<double> losses;
  for (const char* batch : {"37", "36", "10"}) {
    run({"train", "--model", "mlp", "--data", "synthetic", "--samples", "37", "--batch", batch, "--lr", "0",
         "--optimizer", "sgd", "--json", json});
    losses.push_back(nlohmann::json::parse(content(json))["epochs"][0]["loss"]);
  }
  CHECK(losses[1] == Approx(losses[0]).epsilon(1e-5));
  CHECK(losses[2] == Approx(losses[0]).epsilon(1e-5));
}

TEST_CASE("cli train: a loss that is no number stops the run and keeps the last good state", "[cli]") {
  const TemporaryFolder folder;
  const std::string saved = folder / "saved", json = folder / "json";
  const Words wild = {"--model", "mlp", "--optimizer", "sgd", "--lr", "1e30"};
  const auto first = reprise(kTrain + wild + Words{"--epochs", "3", "--save", saved});
  INFO(first.out << first.err);
  CHECK(first.code == 1);
  CHECK_THAT(first.err, Contains("step 2: the loss is") &&
                            Contains("the first op to make such a number is linear (node") &&
                            Contains("its inputs are finite"));
  CHECK_FALSE(fs::exists(saved));  // there was no good state to keep

  // One step makes weights so large that the next forward overflows; they are finite, and the state before stays.
  run(kTrain + wild + Words{"--epochs", "3", "--steps", "1", "--save", saved});
  const auto before = tree(saved);
  const auto second = reprise({"train", "--resume", saved});
  INFO(second.err);
  CHECK(second.code == 1);
  CHECK_THAT(second.err,
             Contains("step 2: the loss is") && Contains(saved + " holds the run as it was after step 1"));
  CHECK(tree(saved) == before);
  CHECK(reprise({"train", "--resume", saved, "--steps", "1"}).code == 1);
}

TEST_CASE("cli train: weights that are no numbers are not saved", "[cli]") {
  const TemporaryFolder folder;
  const std::string saved = folder / "saved";
  // The loss of the first step is finite; the step itself is beyond f32.
  const auto result = reprise(kTrain + Words{"--model", "mlp", "--optimizer", "sgd", "--lr", "1e38",
                                             "--weight-decay", "1e38", "--steps", "1", "--save", saved});
  INFO(result.out << result.err);
  CHECK(result.code == 1);
  CHECK_THAT(result.err, Contains("after step 1") && Contains("is not finite"));
  CHECK_FALSE(fs::exists(saved));
}

TEST_CASE("cli generate: a model whose logits are no numbers is an error", "[cli]") {
  const TemporaryFolder folder;
  const std::string saved = folder / "saved", text = write_text(folder / "text");
  run(Words{"train", "--data", "text:" + text, "--steps", "1", "--save", saved} + kGpt);
  const std::string weights =
      saved + "/" + state_of(saved)["folder"].get<std::string>() + "/weights.safetensors";
  std::string bytes = content(weights);
  const std::string nan = {'\0', '\0', '\xc0', '\x7f'};
  std::uint64_t header = 0;
  bytes.copy(reinterpret_cast<char*>(&header), sizeof(header));
  for (std::size_t i = 8 + header; i + 4 <= bytes.size(); i += 4) bytes.replace(i, 4, nan);
  std::ofstream(weights, std::ios::binary) << bytes;
  for (const char* temperature : {"0", "1"}) {
    const auto result = reprise({"generate", "--load", saved, "--temperature", temperature});
    INFO(result.out << result.err);
    CHECK(result.code == 1);
    CHECK_THAT(result.err, Contains("logit"));
  }
}
