// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Where BPF objects get names, so that they outlive the process that made
// them. Only a BPF file system can hold such names.

#ifndef VXLNAT_IO_PINS_H_
#define VXLNAT_IO_PINS_H_

#include <string>

namespace vxlnat::io {

// Makes the directory; when it would not lie on a BPF file system and is
// below /sys/fs/bpf, mounts one there. Returns an empty string, or why not.
std::string prepare_pins(const std::string& directory);

// Removes everything that is pinned in `directory`, and it: whatever program
// was left attached by it is detached. A directory that is not there is fine.
std::string remove_pins(const std::string& directory);

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_PINS_H_
