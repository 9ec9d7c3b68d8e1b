// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// What must hold of the tables between any two packets, looked up as a reader
// of the shared memory would: by layout.h alone, not by the engine's classes.

#ifndef VXLNAT_TEST_INVARIANTS_H_
#define VXLNAT_TEST_INVARIANTS_H_

#include "engine/engine.h"

namespace vxlnat::test {

// Fails the running test for each broken one. `memory` begins with the layout.
void check_invariants(const std::uint8_t* memory, const EngineConfig& config,
                      const Stats& stats);

}  // namespace vxlnat::test

#endif  // VXLNAT_TEST_INVARIANTS_H_
