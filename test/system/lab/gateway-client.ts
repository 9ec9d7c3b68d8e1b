// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** A test's remote control for `gateway.js`, an engine in a namespace. */

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type {
  DropDto,
  EngineEvent,
  FlowPageDto,
  IoStatusDto,
  Operation,
  OperationResult,
  StatsDto,
} from '#native/index.js';
import { type Lab, lines } from './lab.js';

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export class Gateway {
  readonly events: EngineEvent[] = [];
  /** Called with each event; a test answers misses here. */
  onEvent: (event: EngineEvent) => void = () => {};
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #id = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    void this.#follow();
  }

  /** Starts an engine in the lab's gateway namespace. */
  static async open(lab: Lab, ...args: unknown[]): Promise<Gateway> {
    const gateway = new Gateway(lab.start('gw', 'gateway.js'));
    await gateway.#call('open', ...args);
    return gateway;
  }

  apply(operations: Operation[]): Promise<OperationResult[]> {
    return this.#call('apply', operations) as Promise<OperationResult[]>;
  }

  /** @throws when one of them does not hold */
  async must(operations: Operation[]): Promise<void> {
    const errors = (await this.apply(operations)).filter(({ error }) => error);
    if (errors.length > 0) throw new Error(JSON.stringify(errors));
  }

  /** What the engine has written to its log. */
  said(): string[] {
    return this.events.flatMap((event) =>
      event.event === 'log' ? [`${event.level}: ${event.message}`] : [],
    );
  }

  stats(): Promise<StatsDto> {
    return this.#call('stats') as Promise<StatsDto>;
  }

  /** The drop reasons that have counted something. */
  drops(): Promise<DropDto[]> {
    return this.#call('drops') as Promise<DropDto[]>;
  }

  flows(): Promise<FlowPageDto> {
    return this.#call('flows') as Promise<FlowPageDto>;
  }

  io(): Promise<IoStatusDto> {
    return this.#call('io') as Promise<IoStatusDto>;
  }

  /** Puts the XDP program in place. */
  attach(): Promise<IoStatusDto> {
    return this.#call('attach') as Promise<IoStatusDto>;
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }

  async announce(interfaceName: string, ip: string): Promise<void> {
    await this.#call('announce', interfaceName, ip);
  }

  async close(): Promise<void> {
    const closed = once(this.#child, 'close');
    this.#child.stdin?.end();
    await closed;
  }

  async #follow(): Promise<void> {
    for await (const line of lines(this.#child)) {
      const message = JSON.parse(line);
      for (const event of message.events ?? []) {
        this.events.push(event);
        this.onEvent(event);
      }
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.error) waiting?.reject(new Error(message.error));
      else waiting?.resolve(message.result);
    }
    for (const waiting of this.#waiting.values()) {
      waiting.reject(new Error('the gateway has ended'));
    }
  }

  #call(call: string, ...args: unknown[]): Promise<unknown> {
    const id = ++this.#id;
    const answer = new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    this.#child.stdin?.write(`${JSON.stringify({ id, call, args })}\n`);
    return answer;
  }
}
