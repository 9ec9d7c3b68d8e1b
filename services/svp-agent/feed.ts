// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * `ul3_mapping` events of napi-nat's changefeed, applied as they come: the
 * fast way of what the SVP log brings some seconds later. A gap, or a feed that
 * cannot be resumed, means asking SVP again about everything the kernel has.
 */

import type { Item } from '#lib/changefeed/index.js';
import { createSubscriber, type Subscriber } from '#lib/changefeed/index.js';
import type { Clock } from '#lib/clock.js';
import type { TlsSource } from '#lib/http/tls.js';
import { type Ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import { type Mac, parseMac } from '#lib/net/mac.js';
import { isVnet } from '#lib/net/vnet.js';
import type { Logger } from '#lib/service/log.js';
import type { Ul3 } from '#lib/svp/messages.js';
import type { Vnet } from './vnet.js';

/** One mapping as it is after a change; `to` null: nobody has the IP. */
export interface MappingChange {
  vnet: number;
  ip: Ipv4;
  to: (Ul3 & { mac: Mac }) | null;
}

/** Reads an event; null when it is not one of ours, which is then ignored. */
export function parseMapping(
  item: Pick<Item, 'resource' | 'id' | 'object'>,
): MappingChange | null {
  const match = /^(\d{1,8}),(.+)$/.exec(item.id);
  const vnet = Number(match?.[1] ?? Number.NaN);
  const ip = parseIpv4(match?.[2] ?? '');
  if (item.resource !== 'ul3_mapping' || !isVnet(vnet) || ip === null) {
    return null;
  }
  if (item.object === null) return { vnet, ip, to: null };
  const object = item.object as Record<string, unknown>;
  const mac = parseMac(String(object['mac']));
  const ul3 = parseIpv4(String(object['ul3_ip']));
  const port = object['ul3_port'];
  if (mac === null || ul3 === null || !Number.isInteger(port)) return null;
  return { vnet, ip, to: { mac, ip: ul3, port: port as number } };
}

export interface FeedOptions {
  url: string;
  /** Unique among the publisher's listeners. */
  tls: TlsSource | undefined;
  instance: string;
  clock: Clock;
  random: () => number;
  log: Logger;
  /** This node's vnets by id. */
  vnets: ReadonlyMap<number, Vnet>;
  /** Called after each event of a vnet that is here: the SVP log has it too. */
  onApplied: () => void;
}

/** @returns a subscriber that has not started */
export function createFeed(options: FeedOptions): Subscriber {
  const { vnets, log } = options;
  return createSubscriber({
    url: options.url,
    tls: options.tls,
    instance: options.instance,
    service: 'svp-agent',
    resources: [{ resource: 'ul3_mapping', subResources: ['put', 'delete'] }],
    clock: options.clock,
    random: options.random,
    log,
    async onBootstrap(registered) {
      const all = [...vnets.values()].map((vnet) => vnet.refresh());
      await Promise.all(all);
      return registered;
    },
    onItem(item) {
      const change = parseMapping(item);
      const vnet = change === null ? undefined : vnets.get(change.vnet);
      if (change === null || vnet === undefined) return;
      log.debug({ id: item.id, object: item.object }, 'mapping changed');
      vnet.changed(change.ip, change.to);
      options.onApplied();
    },
  });
}
