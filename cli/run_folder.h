#pragma once
// The folder of a saved run, while one process writes it.
//
//   DIR/state.json      names the step's folder.
//   DIR/step-N/...      The run as it was after step N.
//   DIR/.reprise-lock   Of the process that saves here. It is gone when the process ends.
//
// A save writes a new step folder and then renames a new state.json into place. Only then it removes the older step
// folder. Whenever the process dies, state.json names a folder that is whole. The lock file names the folder that is
// being written, so that the next process removes what a killed one left. Nothing else in DIR is removed or replaced.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace reprise::cli {

// The files that a step's folder may hold.
inline constexpr const char* kStateFile = "state.json";
inline constexpr const char* kWeightsFile = "weights.safetensors";
inline constexpr const char* kOptimizerFile = "optimizer.safetensors";
inline constexpr const char* kTokenizerFile = "tokenizer.json";

// Is this a name that a step's folder can have, and no path to elsewhere?
bool is_step_folder(const std::string& name);

// The step's folder that DIR/state.json names; empty if there is none or if it cannot be read.
std::string current_step_folder(const std::filesystem::path& folder);

class RunFolder {
 public:
  // Decides about a folder that holds a run already. `refuse`: an error. `overwrite`: the new run replaces the old one
  // when it is first saved. `resume`: the run goes on.
  enum class Existing { refuse, overwrite, resume };

  // Makes the folder if there is none, and takes it for this process. UsageError for a folder that holds a run (with
  // Existing::refuse). FileError if the folder cannot be made or written, and if another process saves there.
  RunFolder(const std::string& path, Existing existing);
  // Gives the folder free, and removes it if it was made here and nothing was saved in it.
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  // `fill` writes the files of the step's folder that it is given, and `state` returns the text of state.json, which
  // names that folder. FileError leaves the older run whole and removes what was written of the new one.
  void save(std::int64_t step, const std::function<void(const std::filesystem::path& folder)>& fill,
            const std::function<std::string(const std::string& name)>& state);

 private:
  void make();
  void lock();
  void release();
  std::string read_journal() const;
  void write_journal(const std::string& folders);
  void remove_step(const std::string& name) const;

  const std::filesystem::path root_;
  bool made_ = false;    // by this process
  int lock_ = -1;        // the open lock file
  std::string current_;  // the step's folder that state.json names
};

}  // namespace reprise::cli
