#include "reprise/cli/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <system_error>

#include "reprise/core/error.h"

namespace reprise::cli {
namespace {

int failure = 0;  // the first errno of a write that failed

void note_failure() {
  if (failure == 0) failure = errno != 0 ? errno : EIO;
}

}  // namespace

void write_output(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) note_failure();
}

void flush_output() {
  errno = 0;
  if (std::fflush(stdout) != 0) note_failure();
}

void check_output() {
  flush_output();
  if (failure != 0)
    throw FileError(fmt::format("standard output: the results cannot be written: {}",
                                std::generic_category().message(failure)));
}

void prepare_output() {
  for (const int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(file, F_GETFD) == -1 && errno == EBADF) {
      // The lowest free number is `file`. Reading only, so that a write fails as it does on a closed file.
      const int opened = open("/dev/null", file == STDERR_FILENO ? O_WRONLY : O_RDONLY);
      if (opened < 0) return;
    }
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

}  // namespace reprise::cli
