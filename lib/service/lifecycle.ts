// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Starting a service's parts in order and stopping them in reverse. A part
 * that fails to start stops those that did; a part that fails to stop is
 * logged and the rest still stop. Stopping twice is stopping once.
 */

import type { Logger } from './log.js';

/** Something that starts and stops: a server, a timer, a connection. */
export interface Part {
  name: string;
  start?: () => Promise<void> | void;
  stop?: () => Promise<void> | void;
}

export interface Lifecycle {
  /** Appends a part; those added after `start` are the caller's to start. */
  add(part: Part): void;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * @param log says which part starts and stops, at debug
 * @returns a lifecycle without parts
 */
export function createLifecycle(log: Logger): Lifecycle {
  const parts: Part[] = [];
  const running: Part[] = [];
  let stopping: Promise<void> | undefined;

  async function stopAll(): Promise<void> {
    for (let part = running.pop(); part !== undefined; part = running.pop()) {
      log.debug({ part: part.name }, 'stopping');
      try {
        await part.stop?.();
      } catch (error) {
        log.error({ err: error, part: part.name }, 'did not stop cleanly');
      }
    }
  }

  function stop(): Promise<void> {
    stopping ??= stopAll();
    return stopping;
  }

  return {
    add: (part) => {
      parts.push(part);
    },
    async start() {
      for (const part of parts) {
        log.debug({ part: part.name }, 'starting');
        try {
          await part.start?.();
        } catch (error) {
          await stop();
          throw error;
        }
        running.push(part);
        if (stopping !== undefined) {
          await stopAll();
          return;
        }
      }
    },
    stop,
  };
}
