#include <cstdio>

#include "check.h"

// TAP on stdout, so that tap can read these tests as it reads all others.
int main() {
  int number = 0;
  int failed = 0;
  for (const auto& [title, body] : check::cases()) {
    const int before = check::failed_checks();
    body();
    const bool passed = check::failed_checks() == before;
    if (!passed) failed++;
    std::printf("%sok %d - %s\n", passed ? "" : "not ", ++number, title);
  }
  std::printf("1..%d\n", number);
  return failed == 0 ? 0 : 1;
}
