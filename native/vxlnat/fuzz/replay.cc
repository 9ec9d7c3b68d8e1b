// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Runs every file below the directories given through one fuzz target, with
// no fuzzer runtime. A crash is the failure; prints how many files it ran.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size);

int main(int argc, char** argv) {
  int count = 0;
  for (int i = 1; i < argc; i++) {
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator it(argv[i], error), end;
         it != end; it.increment(error)) {
      if (!it->is_regular_file(error)) continue;
      std::ifstream file(it->path(), std::ios::binary);
      const std::string text((std::istreambuf_iterator<char>(file)), {});
      const std::vector<std::uint8_t> bytes(text.begin(), text.end());
      LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
      count++;
    }
  }
  std::cout << argv[0] << ": " << count << " inputs\n";
  return 0;
}
