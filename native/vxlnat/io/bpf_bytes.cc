// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// The compiled XDP program, put into this library as bytes so that nothing
// has to be found at run time. Empty when it could not be compiled.

#include "io/bpf_bytes.h"

__asm__(
    ".section .rodata\n"
    ".balign 8\n"
    ".hidden vxlnat_bpf_begin\n"
    ".globl vxlnat_bpf_begin\n"
    "vxlnat_bpf_begin:\n"
    ".incbin \"" VXLNAT_BPF_OBJECT
    "\"\n"
    ".hidden vxlnat_bpf_end\n"
    ".globl vxlnat_bpf_end\n"
    "vxlnat_bpf_end:\n"
    ".byte 0\n"
    ".previous\n");

extern "C" {
extern const std::uint8_t vxlnat_bpf_begin[];
extern const std::uint8_t vxlnat_bpf_end[];
}

namespace vxlnat::io {

std::span<const std::uint8_t> bpf_bytes() {
  return {vxlnat_bpf_begin, vxlnat_bpf_end};
}

}  // namespace vxlnat::io
