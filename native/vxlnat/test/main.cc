// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Runs every test, or those whose name contains the first argument. Prints
// TAP lines; exit status 1 when any test failed.

#include <string>

#include "test/harness.h"

int main(int argc, char** argv) {
  using namespace vxlnat::test;
  int passed = 0;
  int failed = 0;
  for (const Case& each : cases()) {
    if (argc > 1 && std::string(each.name).find(argv[1]) == std::string::npos) {
      continue;
    }
    failures() = 0;
    each.run();
    const bool ok = failures() == 0;
    (ok ? passed : failed)++;
    std::cout << (ok ? "ok " : "not ok ") << passed + failed << " - "
              << each.name << std::endl;
  }
  std::cout << "1.." << passed + failed << "\n"
            << passed << " passed, " << failed << " failed\n";
  return failed == 0 ? 0 : 1;
}
