// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// A very small test harness: TEST("what would break") { CHECK(...); } makes a
// test that main.cc runs. A failed check says where and goes on; a test that
// failed a check fails.

#ifndef VXLNAT_TEST_HARNESS_H_
#define VXLNAT_TEST_HARNESS_H_

#include <cstdint>
#include <iomanip>
#include <iostream>
#include <span>
#include <sstream>
#include <string>
#include <vector>

namespace vxlnat::test {

using Bytes = std::vector<std::uint8_t>;

struct Case {
  const char* name;
  void (*run)();
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

inline int& failures() {
  static int count = 0;
  return count;
}

struct Register {
  Register(const char* name, void (*run)()) { cases().push_back({name, run}); }
};

inline void fail(const char* file, int line, const std::string& what) {
  // A broken loop must not print for ever.
  if (++failures() > 20) return;
  std::cout << "#   " << file << ":" << line << ": " << what << "\n";
}

inline std::string hex(std::span<const std::uint8_t> bytes) {
  std::ostringstream text;
  for (const std::uint8_t byte : bytes) {
    text << std::hex << std::setw(2) << std::setfill('0') << int{byte};
  }
  return text.str();
}

inline Bytes from_hex(const std::string& text) {
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(
        static_cast<std::uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

template <typename T>
std::string show(const T& value) {
  std::ostringstream text;
  if constexpr (std::is_same_v<T, Bytes>) {
    text << hex(value);
  } else if constexpr (std::is_enum_v<T>) {
    text << static_cast<int>(value);
  } else if constexpr (sizeof(T) == 1) {
    text << int{value};
  } else {
    text << value;
  }
  return text.str();
}

}  // namespace vxlnat::test

#define VXLNAT_JOIN2(a, b) a##b
#define VXLNAT_JOIN(a, b) VXLNAT_JOIN2(a, b)
#define VXLNAT_TEST(name, id)                                       \
  static void VXLNAT_JOIN(test_, id)();                             \
  static const ::vxlnat::test::Register VXLNAT_JOIN(register_, id)( \
      name, VXLNAT_JOIN(test_, id));                                \
  static void VXLNAT_JOIN(test_, id)()
#define TEST(name) VXLNAT_TEST(name, __COUNTER__)

#define CHECK(condition)                                                    \
  do {                                                                      \
    if (!(condition)) ::vxlnat::test::fail(__FILE__, __LINE__, #condition); \
  } while (false)

#define CHECK_EQ(actual, expected)                                             \
  do {                                                                         \
    const auto check_a = (actual);                                             \
    const auto check_e = (expected);                                           \
    if (!(check_a == check_e))                                                 \
      ::vxlnat::test::fail(__FILE__, __LINE__,                                 \
                           std::string(#actual " is ") +                       \
                               ::vxlnat::test::show(check_a) + ", expected " + \
                               ::vxlnat::test::show(check_e));                 \
  } while (false)

#endif  // VXLNAT_TEST_HARNESS_H_
