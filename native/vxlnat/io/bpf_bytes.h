// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

#ifndef VXLNAT_IO_BPF_BYTES_H_
#define VXLNAT_IO_BPF_BYTES_H_

#include <cstdint>
#include <span>

namespace vxlnat::io {

// The object file of bpf/vxlnat.bpf.c; empty when the build had no clang.
std::span<const std::uint8_t> bpf_bytes();

}  // namespace vxlnat::io

#endif  // VXLNAT_IO_BPF_BYTES_H_
