#pragma once

#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

/** As much of a test library as these tests need: named cases, and checks that say what they saw. */
namespace check {

struct Case {
  const char* title;
  void (*body)();
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

inline int& failed_checks() {
  static int count = 0;
  return count;
}

struct Register {
  Register(const char* title, void (*body)()) { cases().push_back({title, body}); }
};

template <typename A, typename B>
void equal(const A& found, const B& wanted, const char* what, const char* file, int line) {
  if (found == wanted) return;
  std::ostringstream text;
  text << "    " << file << ":" << line << ": " << what << " is " << found << ", not " << wanted;
  std::puts(text.str().c_str());
  failed_checks()++;
}

}  // namespace check

#define CHECK_JOIN_(a, b) a##b
#define CHECK_JOIN(a, b) CHECK_JOIN_(a, b)
#define TEST(title)                                                                                  \
  static void CHECK_JOIN(body_, __LINE__)();                                                         \
  static const check::Register CHECK_JOIN(case_, __LINE__)(title, CHECK_JOIN(body_, __LINE__));      \
  static void CHECK_JOIN(body_, __LINE__)()
#define EQUAL(found, wanted) check::equal((found), (wanted), #found, __FILE__, __LINE__)
#define OK(found) check::equal(static_cast<bool>(found), true, #found, __FILE__, __LINE__)
