// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Reads JavaScript values for the bridge. A Field knows where it came from
// (`operations[3].prefix`), and every reader either returns a value of the
// right type or throws a FieldError that names that path. The path is put
// together only when there is an error, so reading costs no strings.

#ifndef VXLNAT_ADDON_FIELD_H_
#define VXLNAT_ADDON_FIELD_H_

#include <napi.h>

#include <cstdint>
#include <stdexcept>
#include <string>

#include "engine/types.h"

namespace vxlnat::addon {

// Becomes a JavaScript Error whose `name` is given; ts/errors.ts knows it.
class NamedError : public std::runtime_error {
 public:
  NamedError(const char* error_name, const std::string& message)
      : std::runtime_error(message), name(error_name) {}
  const char* name;
};

class Field {
 public:
  // The root: an argument of the called function.
  Field(Napi::Value value, const char* name) : value_(value), name_(name) {}

  // A member of an object. Absent or undefined is an error: what is optional
  // is null and present.
  Field get(const char* name) const;
  // An element of an array.
  Field at(std::uint32_t index) const;
  std::uint32_t array_length() const;

  Napi::Env env() const { return value_.Env(); }
  bool is_null() const { return value_.IsNull(); }
  bool boolean() const;
  std::string text() const;
  // A whole number in [low, high]; high is at most 2^53.
  std::uint64_t number(std::uint64_t low, std::uint64_t high) const;
  // An IPv4 address in host order, from a dotted quad.
  std::uint32_t ip() const;
  // A MAC in the low 48 bits, from colon text.
  std::uint64_t mac() const;
  // `10.0.0.0/8`; bits behind the prefix must be zero.
  Prefix prefix() const;

  // Throws FieldError `path: problem`.
  [[noreturn]] void fail(const std::string& problem) const;
  std::string path() const;

 private:
  Field(const Field* parent, Napi::Value value, const char* name,
        std::uint32_t index)
      : parent_(parent), value_(value), name_(name), index_(index) {}
  std::string shown() const;

  const Field* parent_ = nullptr;  // outlives this: fields nest like the stack
  Napi::Value value_;
  const char* name_ = nullptr;  // null for an element
  std::uint32_t index_ = 0;
};

}  // namespace vxlnat::addon

#endif  // VXLNAT_ADDON_FIELD_H_
