// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Making and removing the directory of pins; see pins.h.

#include "io/pins.h"

#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace vxlnat::io {

namespace {

constexpr const char* kUsual = "/sys/fs/bpf";

bool is_bpffs(const std::string& path) {
  struct statfs info {};
  return statfs(path.c_str(), &info) == 0 && info.f_type == BPF_FS_MAGIC;
}

// The nearest directory above that exists.
std::string existing(std::filesystem::path path) {
  std::error_code ignored;
  while (!std::filesystem::exists(path, ignored) && path.has_parent_path() &&
         path != path.parent_path()) {
    path = path.parent_path();
  }
  return path.string();
}

}  // namespace

std::string prepare_pins(const std::string& directory) {
  if (directory.starts_with(std::string(kUsual) + "/") && !is_bpffs(kUsual) &&
      mount("bpf", kUsual, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC,
            "mode=0700") != 0) {
    return std::string("cannot mount a BPF file system at ") + kUsual + ": " +
           std::strerror(errno);
  }
  if (!is_bpffs(existing(directory))) {
    return directory + " is not on a BPF file system";
  }
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  if (failed) return "cannot make " + directory + ": " + failed.message();
  return "";
}

std::string remove_pins(const std::string& directory) {
  if (!is_bpffs(directory)) return "";
  std::error_code failed;
  std::filesystem::remove_all(directory, failed);
  if (failed) return "cannot remove " + directory + ": " + failed.message();
  return "";
}

}  // namespace vxlnat::io
