// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

// Packets for the benchmark, as fast as one core makes them, and the count of
// those that come back translated as they must be.
//
//   traffic OBJECT CN_NAMESPACE CN_DEVICE INET_NAMESPACE INET_DEVICE
//
// Attaches the sinks of traffic.bpf.c to both devices until it ends, and obeys
// lines: each gets one line of JSON.
//
//   set ID KEY=NUMBER...           makes stream ID; see stream.cc for the keys
//   off ID                         ends it
//   run out|in WARM MEASURE TID... sends all streams for WARM + MEASURE ms and
//                                  answers what happened in the second part,
//                                  with the CPU time of the threads named
//   known ID FLOWS                 flows of a stream that the gateway has let
//                                  through at least once
//   forget                         nothing is known any more
//
// Runs on core 0 by itself; the gateway is expected on another.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

#include "bench/stream.h"

namespace vxlnat::bench {
namespace {

constexpr int kCore = 0;
// Real-time priorities; the one that stops must get in.
constexpr int kGenerator = 1;
constexpr int kControl = 2;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "traffic: %s: %s\n", what.c_str(), strerror(errno));
  std::exit(1);
}

// A device in a network namespace; `enter` moves the calling thread there.
struct Place {
  int netns;
  int device;

  static Place of(const char* ns, const char* device) {
    const std::string path = std::string("/run/netns/") + ns;
    Place place{open(path.c_str(), O_RDONLY | O_CLOEXEC), 0};
    if (place.netns < 0) fail(path);
    place.enter();
    place.device = static_cast<int>(if_nametoindex(device));
    if (place.device == 0) fail(device);
    return place;
  }
  void enter() const {
    if (setns(netns, CLONE_NEWNET) != 0) fail("setns");
  }
};

struct Snapshot {
  std::chrono::steady_clock::time_point at;
  std::uint64_t sent[STREAMS];
  counts seen;
  std::vector<std::uint64_t> cpu;  // ns of each thread
};

class Traffic {
 public:
  Traffic(const char* object, Place cn, Place inet)
      : cn_(cn), inet_(inet), object_(bpf_object__open_file(object, nullptr)) {
    if (object_ == nullptr || bpf_object__load(object_) != 0) fail(object);
    raise(kControl);
    attach("sink_underlay", cn_);
    attach("sink_external", inet_);
    streams_ = map("streams");
    progress_ = map("progress");
    counted_ = map("counted");
    void* memory = mmap(nullptr, kPorts * sizeof(std::uint16_t),
                        PROT_READ | PROT_WRITE, MAP_SHARED, map("ports"), 0);
    if (memory == MAP_FAILED) fail("mmap");
    ports_ = static_cast<std::uint16_t*>(memory);
  }

  std::string obey(const std::string& line) {
    std::istringstream in(line);
    std::string verb;
    in >> verb;
    if (verb == "set") return set(in);
    if (verb == "off") return off(in);
    if (verb == "run") return run(in);
    if (verb == "known") return known(in);
    if (verb == "forget") {
      std::memset(ports_, 0, kPorts * sizeof(std::uint16_t));
      return "{}";
    }
    return R"({"error":"unknown verb"})";
  }

 private:
  static constexpr std::size_t kPorts = std::size_t{STREAMS} << FLOW_BITS;

  int map(const char* name) const {
    const int fd = bpf_object__find_map_fd_by_name(object_, name);
    if (fd < 0) fail(name);
    return fd;
  }

  int program(const char* name) const {
    const bpf_program* p = bpf_object__find_program_by_name(object_, name);
    if (p == nullptr) fail(name);
    return bpf_program__fd(p);
  }

  // The link lives as long as this process, whatever ends it.
  void attach(const char* name, const Place& place) {
    place.enter();
    bpf_link_create_opts options{};
    options.sz = sizeof(options);
    options.flags = 1U << 2;  // XDP_FLAGS_DRV_MODE
    if (bpf_link_create(program(name), place.device, BPF_XDP, &options) < 0) {
      fail(name);
    }
  }

  std::string set(std::istringstream& in) {
    std::uint32_t id = STREAMS;
    in >> id;
    if (id >= STREAMS) return R"({"error":"no such stream"})";
    std::vector<std::string> words;
    for (std::string word; in >> word;) words.push_back(word);
    const std::string wrong = make_stream(id, words, &made_[id]);
    if (!wrong.empty()) return R"({"error":")" + wrong + "\"}";
    const progress none{};
    bpf_map_update_elem(progress_, &id, &none, BPF_ANY);
    bpf_map_update_elem(streams_, &id, &made_[id].s, BPF_ANY);
    return "{}";
  }

  std::string off(std::istringstream& in) {
    std::uint32_t id = STREAMS;
    in >> id;
    if (id >= STREAMS) return R"({"error":"no such stream"})";
    made_[id] = {};
    bpf_map_update_elem(streams_, &id, &made_[id].s, BPF_ANY);
    return "{}";
  }

  std::string known(std::istringstream& in) {
    std::size_t id = 0, flows = 0, n = 0;
    in >> id >> flows;
    const std::uint16_t* first = ports_ + (id << FLOW_BITS);
    for (std::size_t i = 0; i < flows; i++) n += first[i] != 0;
    return "{\"known\":" + std::to_string(n) + "}";
  }

  Snapshot look(const std::vector<int>& threads) const {
    Snapshot s{};
    s.at = std::chrono::steady_clock::now();
    for (const int tid : threads) {
      std::ifstream file("/proc/" + std::to_string(tid) + "/schedstat");
      std::uint64_t ns = 0;
      file >> ns;
      s.cpu.push_back(ns);
    }
    std::vector<counts> each(
        static_cast<std::size_t>(libbpf_num_possible_cpus()));
    const std::uint32_t zero = 0;
    bpf_map_lookup_elem(counted_, &zero, each.data());
    for (const counts& c : each) {
      for (std::uint32_t i = 0; i < STREAMS; i++) {
        s.seen.good[i] += c.good[i];
        s.seen.bad[i] += c.bad[i];
      }
      s.seen.other += c.other;
    }
    for (std::uint32_t i = 0; i < STREAMS; i++) {
      progress p{};
      bpf_map_lookup_elem(progress_, &i, &p);
      s.sent[i] = p.count;
    }
    return s;
  }

  // Above everything that is not a measurement: a generator that waits for
  // its core would measure whatever else the machine does.
  static void raise(int priority) {
    const sched_param real_time{priority};
    pthread_setschedparam(pthread_self(), SCHED_FIFO, &real_time);
  }

  // Sends until told to stop. One call sends it all: each call makes a new
  // page pool, and would leave a gap.
  void generate(bool outwards) {
    raise(kGenerator);
    const Place& from = outwards ? cn_ : inet_;
    from.enter();
    const Made* longest = &made_[0];
    for (const Made& each : made_) {
      if (each.out.size() > longest->out.size()) longest = &each;
    }
    const auto& bytes = outwards ? longest->out : longest->in;
    xdp_md context{};
    context.data_end = static_cast<std::uint32_t>(bytes.size());
    context.ingress_ifindex = static_cast<std::uint32_t>(from.device);
    bpf_test_run_opts options{};
    options.sz = sizeof(options);
    options.data_in = bytes.data();
    options.data_size_in = context.data_end;
    options.ctx_in = &context;
    options.ctx_size_in = sizeof(context);
    options.repeat = 0x7fffffff;
    options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
    const int fd = program(outwards ? "generate_out" : "generate_in");
    const int status = bpf_prog_test_run_opts(fd, &options);
    if (status < 0 && status != -EINTR) {
      errno = -status;
      fail("BPF_PROG_RUN with live frames");
    }
    finished_ = true;
  }

  std::string run(std::istringstream& in) {
    std::string direction;
    int warm = 0, measure = 0;
    in >> direction >> warm >> measure;
    std::vector<int> threads;
    for (int tid = 0; in >> tid;) threads.push_back(tid);
    finished_ = false;
    std::thread generator([&] { generate(direction == "out"); });
    std::this_thread::sleep_for(std::chrono::milliseconds(warm));
    const Snapshot before = look(threads);
    std::this_thread::sleep_for(std::chrono::milliseconds(measure));
    const Snapshot after = look(threads);
    while (!finished_) {
      pthread_kill(generator.native_handle(), SIGUSR1);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    generator.join();
    // What still lies in queues belongs to this run, not to the next.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return told(before, after);
  }

  static std::string told(const Snapshot& a, const Snapshot& b) {
    std::ostringstream out;
    const auto list = [&out](const char* name, const auto& from, const auto& to,
                             std::size_t n) {
      out << ",\"" << name << "\":[";
      for (std::size_t i = 0; i < n; i++) {
        out << (i > 0 ? "," : "") << to[i] - from[i];
      }
      out << "]";
    };
    out << "{\"seconds\":"
        << std::chrono::duration<double>(b.at - a.at).count();
    list("sent", a.sent, b.sent, STREAMS);
    list("good", a.seen.good, b.seen.good, STREAMS);
    list("bad", a.seen.bad, b.seen.bad, STREAMS);
    list("cpu", a.cpu, b.cpu, a.cpu.size());
    out << ",\"other\":" << b.seen.other - a.seen.other << "}";
    return out.str();
  }

  const Place cn_;
  const Place inet_;
  bpf_object* const object_;
  int streams_ = -1;
  int progress_ = -1;
  int counted_ = -1;
  std::uint16_t* ports_ = nullptr;
  Made made_[STREAMS];
  std::atomic<bool> finished_{false};
};

}  // namespace
}  // namespace vxlnat::bench

int main(int argc, char** argv) {
  using vxlnat::bench::Place;
  if (argc != 6) {
    std::fprintf(stderr, "usage: traffic OBJECT CN DEVICE INET DEVICE\n");
    return 2;
  }
  cpu_set_t core;
  CPU_ZERO(&core);
  CPU_SET(vxlnat::bench::kCore, &core);
  sched_setaffinity(0, sizeof(core), &core);
  // Only to interrupt the generator's call.
  struct sigaction wake {};
  wake.sa_handler = [](int) {};
  sigaction(SIGUSR1, &wake, nullptr);
  vxlnat::bench::Traffic traffic(argv[1], Place::of(argv[2], argv[3]),
                                 Place::of(argv[4], argv[5]));
  std::cout << "{}" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << traffic.obey(line) << std::endl;
  }
  return 0;
}
