// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Watches the lease, and asks the peers while there is none: the I/O around
 * fence.ts. Peers are the zones that napi-nat last told of, at their UL3s; what
 * others send is not read.
 *
 * A zone whose UL3 was taken over cannot ask who took it: there its address is
 * the other's own, so the kernel drops what comes from it and keeps what is
 * sent to it. Whoever serves another's UL3 therefore tells it unasked, by
 * broadcast on the underlay.
 */

import { createSocket, type Socket } from 'node:dgram';
import type { Clock, Timer } from '#lib/clock.js';
import type { NatZone } from '#lib/model/dataplane.js';
import type { Logger } from '#lib/service/log.js';
import type { World } from '../world.js';
import { type Fence, fenceOf, OPEN, type PeerAnswer } from './fence.js';
import { answerTo, questions, readMessage } from './messages.js';

/** Questions are asked, and answers weighed, this often. */
const TURN_MS = 500;
/** Turns for which an answer, or a packet on the underlay, counts. */
const FRESH_TURNS = 3;
const EVERYONE = '255.255.255.255';

export interface GuardOptions {
  zone: string;
  /** Where peers are asked and answer: UL3 and UDP port. */
  address: { ip: string; port: number };
  clock: Clock;
  log: Logger;
  world: () => World;
  leased: () => boolean;
  /** Packets that the underlay has brought so far. */
  received: () => number;
  onChange: (fence: Fence) => void;
}

interface Heard extends PeerAnswer {
  turn: number;
}

function equal(a: Fence, b: Fence): boolean {
  const same = a.all === b.all && a.lost.size === b.lost.size;
  return same && [...a.lost].every((ip) => b.lost.has(ip));
}

export class Guard {
  readonly #options: GuardOptions;
  readonly #answers = new Map<string, Heard[]>();
  #socket: Socket | null = null;
  #everyone: Socket | null = null;
  #timer: Timer | null = null;
  #turn = 0;
  #received = 0;
  #heardAt = 0;
  #unleased = 0;
  #fence: Fence = OPEN;

  constructor(options: GuardOptions) {
    this.#options = options;
  }

  /** Begins; without its sockets a zone goes on, unfenced, and says so. */
  async start(): Promise<void> {
    const { address, clock, log } = this.#options;
    try {
      this.#socket = await this.#open(address.ip);
      this.#socket.setBroadcast(true);
      this.#everyone = await this.#open(EVERYONE);
    } catch (err) {
      log.warn({ err }, 'peers cannot be asked: no self-fencing');
      this.stop();
      return;
    }
    this.#timer = clock.every(TURN_MS, () => this.#look());
  }

  async #open(ip: string): Promise<Socket> {
    const { address, log } = this.#options;
    // Several zones of one machine may hear what is told to everyone.
    const socket = createSocket({ type: 'udp4', reuseAddr: ip === EVERYONE });
    socket.on('message', (packet, from) => this.#message(packet, from));
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.bind(address.port, ip, () => resolve());
      });
    } catch (err) {
      socket.close();
      throw err;
    }
    socket.on('error', (err) => log.warn({ err }, 'peer socket'));
    return socket.unref();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#socket?.close();
    this.#everyone?.close();
    this.#socket = null;
    this.#everyone = null;
  }

  #peers(): NatZone[] {
    const { world, zone } = this.#options;
    return [...world().zones.values()].filter(({ uuid }) => uuid !== zone);
  }

  #message(packet: Buffer, from: { address: string; port: number }): void {
    const peer = this.#peers().find((each) => each.ul3_ip === from.address);
    const message = peer === undefined ? null : readMessage(packet);
    if (peer === undefined || message === null) return;
    if (message.type === 'ask') {
      const answer = answerTo(message, this.#options.world());
      this.#send(answer, from.address, from.port);
    } else if (message.zone === this.#options.zone) {
      const heard = this.#answers.get(peer.uuid) ?? [];
      heard.push({ ...message, turn: this.#turn });
      this.#answers.set(peer.uuid, heard);
    }
  }

  #send(message: object, ip: string, port: number): void {
    const packet = Buffer.from(JSON.stringify(message));
    this.#socket?.send(packet, port, ip, (err) => {
      if (err) this.#options.log.debug({ err, ip }, 'peer not asked');
    });
  }

  #look(): void {
    this.#turn += 1;
    const { leased, received } = this.#options;
    const now = received();
    if (now !== this.#received) this.#heardAt = this.#turn;
    this.#received = now;
    this.#tell();
    if (leased()) {
      this.#unleased = 0;
      this.#answers.clear();
      this.#set(OPEN);
      return;
    }
    this.#unleased += 1;
    this.#ask();
    // The first answers are on their way.
    if (this.#unleased > FRESH_TURNS) this.#weigh();
  }

  /** Tells the zones whose UL3 is served here what is known of them. */
  #tell(): void {
    const { zone, world, address } = this.#options;
    for (const { uuid, ul3_served_by } of this.#peers()) {
      if (ul3_served_by !== zone) continue;
      const answer = answerTo({ type: 'ask', zone: uuid, ips: [] }, world());
      this.#send(answer, EVERYONE, address.port);
    }
  }

  #ask(): void {
    const { zone, world, address } = this.#options;
    const mine = [...world().publics.values()]
      .filter((each) => each.zone_uuid === zone)
      .map(({ ip }) => ip);
    for (const peer of this.#peers()) {
      for (const question of questions(zone, mine)) {
        this.#send(question, peer.ul3_ip, address.port);
      }
    }
  }

  #weigh(): void {
    const { world } = this.#options;
    const fresh = (turn: number) => this.#turn - turn <= FRESH_TURNS;
    const answers: PeerAnswer[] = [];
    for (const [peer, all] of this.#answers) {
      const heard = all.filter(({ turn }) => fresh(turn));
      this.#answers.set(peer, heard);
      answers.push(...heard);
    }
    const serving = this.#peers().filter(
      ({ state }) => state !== 'down' && state !== 'new',
    );
    this.#set(
      fenceOf({
        leased: false,
        position: world().position,
        answers,
        asked: serving.length,
        heard: fresh(this.#heardAt),
      }),
    );
  }

  #set(fence: Fence): void {
    if (equal(fence, this.#fence)) return;
    this.#fence = fence;
    const { log, onChange } = this.#options;
    const lost = fence.lost.size;
    if (fence.all || lost > 0) {
      log.warn({ all: fence.all, lost }, 'no lease: announcements withdrawn');
    } else log.info('announcing again');
    onChange(fence);
  }
}
