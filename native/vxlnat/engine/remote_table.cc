// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Remotes, and the packets that wait for them; see remote_table.h.

#include "engine/remote_table.h"

#include <algorithm>

namespace vxlnat {

namespace {
RemoteState state_of(const vxlnat_remote& remote) {
  return static_cast<RemoteState>(remote.state);
}
}  // namespace

RemoteTable::RemoteTable(const Memory& memory, const EngineConfig& config,
                         const HashKey& key, Stats& stats)
    : index_(memory.buckets, memory.bucket_count),
      remotes_(memory.remotes),
      size_(config.max_remotes),
      key_(key),
      stats_(stats),
      pool_(config.max_waiting, std::max<std::size_t>(config.inner_mtu, 1500)),
      first_(std::bit_ceil(config.max_vnets), kNone),
      unknown_(first_.size()) {
  for (std::uint32_t i = size_; i-- > 0;) {
    remotes_[i].next = free_;
    free_ = i;
  }
}

vxlnat_remote* RemoteTable::find_at(std::uint64_t key_hash, Vni vni,
                                    Ip4 ip) const {
  const std::uint32_t ref = index_.find(key_hash, [&](std::uint32_t r) {
    return remotes_[r - 1].ip == ip && remotes_[r - 1].vni == vni;
  });
  return ref == 0 ? nullptr : &remotes_[ref - 1];
}

vxlnat_remote* RemoteTable::add(Vni vni, Ip4 ip) {
  if (free_ == kNone) return nullptr;
  const std::uint32_t index = free_;
  vxlnat_remote& remote = remotes_[index];
  free_ = remote.next;
  remote = vxlnat_remote{};
  remote.vni = vni;
  remote.ip = ip;
  remote.first = remote.last = kNone;
  link(index);
  index_.insert(hash(vni, ip), index + 1);
  return &remote;
}

void RemoteTable::ask(vxlnat_remote& remote, Tick now) {
  if (miss_count_ == kMisses) return;
  misses_[(miss_at_ + miss_count_) % kMisses] = {remote.vni, remote.ip};
  miss_count_++;
  remote.asked = static_cast<std::uint32_t>(now);
  stats_.remote_misses.add();
}

void RemoteTable::begin_asking(vxlnat_remote& remote, Tick now) {
  set_state(remote, RemoteState::kAsked);
  remote.since = now;
  remote.asked = static_cast<std::uint32_t>(now - kAskAgain);
}

void RemoteTable::enter(Line& line, vxlnat_remote& remote) {
  remote.prev = line.last;
  remote.next = kNone;
  (line.last == kNone ? line.first : remotes_[line.last].next) =
      index_of(remote);
  line.last = index_of(remote);
}

void RemoteTable::leave(Line& line, const vxlnat_remote& remote) {
  (remote.prev == kNone ? line.first : remotes_[remote.prev].next) =
      remote.next;
  (remote.next == kNone ? line.last : remotes_[remote.next].prev) = remote.prev;
}

// Goes from one line to another, and keeps the gauge of known ones.
void RemoteTable::set_state(vxlnat_remote& remote, RemoteState state) {
  const RemoteState before = state_of(remote);
  if (before == state) return;
  if (before == RemoteState::kAsked) leave(asked_, remote);
  if (before == RemoteState::kNotFound) leave(not_found_, remote);
  if (state == RemoteState::kAsked) enter(asked_, remote);
  if (state == RemoteState::kNotFound) enter(not_found_, remote);
  Unknown& unknown = unknown_of(remote.vni);
  unknown.asked -= before == RemoteState::kAsked;
  unknown.asked += state == RemoteState::kAsked;
  unknown.not_found -= before == RemoteState::kNotFound;
  unknown.not_found += state == RemoteState::kNotFound;
  if (before == RemoteState::kKnown) {
    stats_.remotes.set(stats_.remotes.read() - 1);
  }
  if (state == RemoteState::kKnown) {
    stats_.remotes.set(stats_.remotes.read() + 1);
  }
  remote.state = static_cast<std::uint8_t>(state);
}

void RemoteTable::doubt(Vni vni, Ip4 ip, Tick now) {
  if (dry_) return;
  vxlnat_remote* remote = find(vni, ip);
  if (remote != nullptr &&
      static_cast<std::uint32_t>(now) - remote->asked >= kAskAgain) {
    ask(*remote, now);
  }
}

bool RemoteTable::may_ask(Vni vni) {
  const Unknown& unknown = unknown_of(vni);
  return unknown.asked < kAskEach && unknown.not_found < size_ / 8 + 1;
}

Verdict RemoteTable::wait(Packet& packet, Ip4 ip, Tick now) {
  vxlnat_remote* remote = find(packet.vnet, ip);
  if (remote == nullptr && dry_) return Verdict::done();
  if (remote == nullptr && may_ask(packet.vnet)) remote = add(packet.vnet, ip);
  if (remote == nullptr) return drop(stats_, packet, Drop::kRemoteTableFull);
  if (state_of(*remote) == RemoteState::kNotFound && now < remote->since) {
    return drop(stats_, packet, Drop::kRemoteNotFound);
  }
  if (dry_) return Verdict::done();
  if (state_of(*remote) != RemoteState::kAsked) begin_asking(*remote, now);
  if (static_cast<std::uint32_t>(now) - remote->asked >= kAskAgain) {
    ask(*remote, now);
  }
  const std::uint32_t slot =
      remote->waiting < kWaitEach ? pool_.keep(packet) : PacketPool::kNone;
  if (slot == PacketPool::kNone) {
    return drop(stats_, packet, Drop::kRemoteQueueFull);
  }
  (remote->first == kNone ? remote->first : pool_.next(remote->last)) = slot;
  remote->last = slot;
  remote->waiting++;
  stats_.kept.add();
  return Verdict::done();
}

std::uint32_t RemoteTable::take(vxlnat_remote& remote) {
  const std::uint32_t slot = remote.first;
  if (slot == kNone) return kNone;
  remote.first = pool_.next(slot);
  remote.waiting--;
  return slot;
}

void RemoteTable::drop_waiting(vxlnat_remote& remote, Drop reason) {
  for (std::uint32_t slot; (slot = take(remote)) != kNone;) {
    (void)drop(stats_, pool_.at(slot), reason);
    pool_.release(slot);
  }
}

void RemoteTable::erase(vxlnat_remote& remote, Drop reason) {
  drop_waiting(remote, reason);
  set_state(remote, RemoteState::kFree);
  index_.remove(hash(remote.vni, remote.ip), index_of(remote) + 1);
  unlink(remote);
  remote.next = free_;
  free_ = index_of(remote);
}

void RemoteTable::link(std::uint32_t index) {
  vxlnat_remote& remote = remotes_[index];
  std::uint32_t& first = first_of(remote.vni);
  remote.vnet_prev = kNone;
  remote.vnet_next = first;
  if (first != kNone) remotes_[first].vnet_prev = index;
  first = index;
}

void RemoteTable::unlink(const vxlnat_remote& remote) {
  (remote.vnet_prev == kNone ? first_of(remote.vni)
                             : remotes_[remote.vnet_prev].vnet_next) =
      remote.vnet_next;
  if (remote.vnet_next != kNone) {
    remotes_[remote.vnet_next].vnet_prev = remote.vnet_prev;
  }
}

vxlnat_remote* RemoteTable::set(const SetRemote& answer) {
  vxlnat_remote* remote = find(answer.vnet, answer.ip);
  if (remote == nullptr) remote = add(answer.vnet, answer.ip);
  if (remote == nullptr) return nullptr;
  remote->mac = answer.mac;
  remote->ul3_ip = answer.ul3_ip;
  remote->ul3_port = answer.ul3_port;
  set_state(*remote, RemoteState::kKnown);
  return remote;
}

void RemoteTable::not_found(Vni vni, Ip4 ip, Tick retry_at) {
  vxlnat_remote* remote = find(vni, ip);
  if (remote == nullptr) return;
  drop_waiting(*remote, Drop::kRemoteNotFound);
  remote->since = retry_at;
  set_state(*remote, RemoteState::kNotFound);
}

void RemoteTable::remove(Vni vni, Ip4 ip) {
  vxlnat_remote* remote = find(vni, ip);
  if (remote != nullptr) erase(*remote, Drop::kRemoteNotFound);
}

template <typename Visit>
void RemoteTable::each_of(Vni vni, Visit&& visit) {
  for (std::uint32_t at = first_of(vni); at != kNone;) {
    vxlnat_remote& remote = remotes_[at];
    at = remote.vnet_next;
    if (remote.vni == vni) visit(remote);
  }
}

void RemoteTable::remove_mac(Vni vni, Mac mac) {
  each_of(vni, [&](vxlnat_remote& remote) {
    if (state_of(remote) != RemoteState::kKnown || remote.mac != mac) return;
    erase(remote, Drop::kRemoteNotFound);
  });
}

void RemoteTable::remove_vnet(Vni vni) {
  each_of(vni,
          [&](vxlnat_remote& remote) { erase(remote, Drop::kRemoteNotFound); });
}

bool RemoteTable::sweep(Tick now, std::size_t budget) {
  const auto over = [&](std::uint32_t first, Tick after) {
    return first != kNone && now >= remotes_[first].since + after;
  };
  while (over(asked_.first, kGiveUp)) {
    if (budget-- == 0) return true;
    erase(remotes_[asked_.first], Drop::kRemoteTimeout);
  }
  while (over(not_found_.first, 0)) {
    if (budget-- == 0) return true;
    erase(remotes_[not_found_.first], Drop::kRemoteNotFound);
  }
  return false;
}

std::size_t RemoteTable::take_misses(std::span<Miss> out) {
  std::size_t n = 0;
  for (; n < out.size() && miss_count_ > 0; n++, miss_count_--) {
    out[n] = misses_[miss_at_];
    miss_at_ = (miss_at_ + 1) % kMisses;
  }
  return n;
}

}  // namespace vxlnat
