// A child of fork() after kernels ran on several threads.
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "reprise/ops/ops.h"
#include "reprise/tests/kernel_settings.h"

using namespace reprise;

TEST_CASE("a child of fork() runs kernels on its only thread", "[cpu][teams]") {
  const test::ThreadCount threads(3);
  const Tensor x = Tensor::rand({300, 300});
  const std::vector<double> expected = exp(x).to_vector();
  matmul(x, x);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(60);  // a child that waits for threads it does not have ends with a signal
    const bool right = available_threads() == 1 && exp(x).to_vector() == expected && matmul(x, x).defined();
    _exit(right ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
