// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The engine's clock: milliseconds since the machine started. A BPF program
// has the same one (bpf_ktime_get_ns), and so has the next process, which may
// take flows over.

#ifndef VXLNAT_IO_CLOCK_H_
#define VXLNAT_IO_CLOCK_H_

#include <time.h>

#include <cstdint>

namespace vxlnat::io {

inline std::uint64_t clock_ms() {
  timespec at{};
  clock_gettime(CLOCK_MONOTONIC, &at);
  return static_cast<std::uint64_t>(at.tv_sec) * 1000 +
         static_cast<std::uint64_t>(at.tv_nsec) / 1'000'000;
}

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_CLOCK_H_
