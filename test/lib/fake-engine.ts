// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * An engine of maps: it holds what operations say, refuses what the native
 * engine refuses (a public IP with two roles, a 1:1 entry without its rule),
 * and remembers every operation and gratuitous ARP. No packets.
 */

import type {
  CountsDto,
  DropDto,
  EngineEvent,
  FlowDto,
  FlowEventsDto,
  FlowFilterDto,
  FlowPageDto,
  HotRemoteDto,
  IoStatusDto,
  Operation,
  OperationResult,
  QuestionDto,
  StatsDto,
  TapReadDto,
  TapSpecDto,
} from '#native/native.js';

type RuleOperation = Extract<Operation, { op: 'set_rule' }>;
type EntryOperation = Extract<Operation, { op: 'set_one_to_one' }>;
type RemoteOperation = Extract<Operation, { op: 'set_remote' }>;

function emptyStats(): StatsDto {
  return {
    progress: 0,
    rx_underlay_packets: 0,
    rx_underlay_bytes: 0,
    tx_underlay_packets: 0,
    tx_underlay_bytes: 0,
    rx_external_packets: 0,
    rx_external_bytes: 0,
    tx_external_packets: 0,
    tx_external_bytes: 0,
    hairpin_packets: 0,
    icmp_errors_sent: 0,
    gateway_replies: 0,
    probes_reflected: 0,
    drops: 0,
    flows: 0,
    flows_created: 0,
    flows_expired: 0,
    fragments: 0,
    rules: 0,
    one_to_ones: 0,
    vnets: 0,
    remotes: 0,
    remote_misses: 0,
  };
}

function inside(prefix: string, ip: string): boolean {
  const [base, bits] = prefix.split('/') as [string, string];
  const value = (text: string) =>
    text.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
  const size = 2 ** (32 - Number(bits));
  return Math.floor(value(ip) / size) === Math.floor(value(base) / size);
}

export class FakeEngine {
  readonly ul3s = new Set<string>();
  readonly rules = new Map<string, RuleOperation>();
  readonly entries = new Map<string, EntryOperation>();
  readonly remotes = new Map<string, RemoteOperation>();
  readonly operations: Operation[] = [];
  /** `device ip` of each gratuitous ARP. */
  readonly announcements: string[] = [];
  flowList: FlowDto[] = [];
  dropList: DropDto[] = [];
  closed = false;
  detached = false;
  /** Refuses operations for which this gives a reason. */
  refuse: (operation: Operation) => string | null = () => null;
  /** Set by `open`: how the engine tells its owner. */
  emit: (events: EngineEvent[]) => void = () => {};
  #progress = 0;

  async apply(operations: Operation[]): Promise<OperationResult[]> {
    if (this.closed) throw new Error('engine is closed');
    return operations.map((operation) => {
      this.operations.push(operation);
      const error = this.refuse(operation) ?? this.#one(operation);
      return { error };
    });
  }

  io(): IoStatusDto {
    return {
      path: 'tun',
      why: null,
      attached: false,
      zero_copy: false,
      pinned: false,
      unpinned_why: null,
      lanes: 0,
      ports: [],
      flows_taken_over: 0,
      passed: 0,
      raised: 0,
      no_queue: 0,
      fast_out: 0,
      fast_in: 0,
      rx_packets: 0,
      tx_packets: 0,
      rx_overflow: 0,
      rx_invalid: 0,
      tx_refused: 0,
      detoured: 0,
      detour_lost: 0,
    };
  }

  attach(): IoStatusDto {
    return this.io();
  }

  detach(): IoStatusDto {
    this.detached = true;
    return this.io();
  }

  stats(): StatsDto {
    this.#progress += 1;
    return {
      ...emptyStats(),
      progress: this.#progress,
      flows: this.flowList.length,
      rules: this.rules.size,
      one_to_ones: this.entries.size,
      remotes: this.remotes.size,
    };
  }

  drops(): DropDto[] {
    return this.dropList;
  }

  async flows(filter: FlowFilterDto): Promise<FlowPageDto> {
    const all = this.flowList.filter(
      (flow) =>
        (filter.vnet === null || flow.vnet === filter.vnet) &&
        (filter.private_ip === null || flow.private_ip === filter.private_ip) &&
        (filter.public_ip === null || flow.public_ip === filter.public_ip) &&
        (filter.remote_ip === null || flow.remote_ip === filter.remote_ip) &&
        (filter.proto === null || flow.proto === filter.proto) &&
        (filter.port === null ||
          [flow.private_port, flow.public_port, flow.remote_port].includes(
            filter.port,
          )),
    );
    const end = filter.cursor + filter.limit;
    return {
      flows: all.slice(filter.cursor, end),
      cursor: end < all.length ? end : null,
    };
  }

  /** What the next tap gives, one read after another; the last is done. */
  tapReads: TapReadDto[] = [];
  readonly taps: TapSpecDto[] = [];
  openTaps = 0;

  async openTap(spec: TapSpecDto) {
    this.taps.push(spec);
    this.openTaps += 1;
    const reads = [...this.tapReads];
    const last = { data: new ArrayBuffer(0), now_ms: 0, seen: 0, lost: 0 };
    return {
      read: async () => reads.shift() ?? { ...last, done: true },
      close: async () => {
        this.openTaps -= 1;
      },
    };
  }

  countsList: CountsDto = { vnets: [], publics: [] };
  hotList: HotRemoteDto[] = [];
  /** Room of the log of flows; 0 while it is off. */
  eventsRoom = 0;
  eventReads: FlowEventsDto[] = [];

  async counts(): Promise<CountsDto> {
    return this.countsList;
  }

  async hot(most: number): Promise<HotRemoteDto[]> {
    return this.hotList.slice(0, most);
  }

  async openEvents(room: number): Promise<void> {
    this.eventsRoom = room;
  }

  async readEvents(): Promise<FlowEventsDto> {
    const none = { data: new ArrayBuffer(0), now_ms: 0, lost: 0 };
    return this.eventReads.shift() ?? none;
  }

  readonly questions: QuestionDto[] = [];

  async explain(question: QuestionDto): Promise<string> {
    this.questions.push(question);
    return '{"packet":1,"time_ms":2,"direction":"out","steps":[],"verdict":"sent"}';
  }

  announceArp(interfaceName: string, ip: string): void {
    this.announcements.push(`${interfaceName} ${ip}`);
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  /** What it holds, in an order of its own: two engines compare by it. */
  dump(): unknown {
    const sorted = (values: Iterable<object>) =>
      [...values].map((value) => JSON.stringify(value)).sort();
    return {
      ul3s: [...this.ul3s].sort(),
      rules: sorted(this.rules.values()),
      entries: sorted(this.entries.values()),
      remotes: sorted(this.remotes.values()),
    };
  }

  #one(operation: Operation): string | null {
    switch (operation.op) {
      case 'add_ul3':
        this.ul3s.add(operation.ip);
        return null;
      case 'remove_ul3':
        this.ul3s.delete(operation.ip);
        return null;
      case 'set_rule':
        return this.#setRule(operation);
      case 'remove_rule':
        this.rules.delete(`${operation.vnet},${operation.prefix}`);
        return null;
      case 'set_one_to_one':
        return this.#setEntry(operation);
      case 'remove_one_to_one':
        this.entries.delete(`${operation.vnet},${operation.private_ip}`);
        return null;
      default:
        return this.#remote(operation);
    }
  }

  #setRule(operation: RuleOperation): string | null {
    for (const entry of this.entries.values()) {
      if (entry.public_ip === operation.public_ip) {
        return 'public IP has a 1:1 entry';
      }
    }
    this.rules.set(`${operation.vnet},${operation.prefix}`, operation);
    return null;
  }

  #setEntry(operation: EntryOperation): string | null {
    const key = `${operation.vnet},${operation.private_ip}`;
    for (const [other, entry] of this.entries) {
      if (other !== key && entry.public_ip === operation.public_ip) {
        return 'public IP has another 1:1 entry';
      }
    }
    const rules = [...this.rules.values()];
    if (rules.some((rule) => rule.public_ip === operation.public_ip)) {
      return 'public IP has a rule';
    }
    const covered = rules.some(
      (rule) =>
        rule.vnet === operation.vnet &&
        inside(rule.prefix, operation.private_ip),
    );
    if (!covered) return 'no rule covers the private IP';
    this.entries.set(key, operation);
    return null;
  }

  #remote(operation: Operation): string | null {
    if (operation.op === 'set_remote') {
      this.remotes.set(`${operation.vnet},${operation.ip}`, operation);
    }
    if (operation.op === 'remove_remote') {
      this.remotes.delete(`${operation.vnet},${operation.ip}`);
    }
    if (operation.op === 'remove_remote_mac') {
      for (const [key, remote] of this.remotes) {
        if (remote.vnet === operation.vnet && remote.mac === operation.mac) {
          this.remotes.delete(key);
        }
      }
    }
    return null;
  }
}
