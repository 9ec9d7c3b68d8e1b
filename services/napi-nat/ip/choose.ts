// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Which address a new NIC gets (facts: triton-napi 8): the lowest one never
 * used, then those freed, the longest free first. Each choice comes with the
 * write that takes it on the condition that nobody else has.
 */

import { ServiceError } from '#lib/errors.js';
import { formatIpv4, ipv4, parseIpv4 } from '#lib/net/ipv4.js';
import type { BatchRequest, StoreError } from '#lib/store/types.js';
import type { NapiContext } from '../context.js';
import type { NetworkRecord } from '../network/record.js';
import type { Hold } from './claims.js';
import { type IpRecord, ipBucket, putIp } from './record.js';

/** Freed records looked at in one go. */
const FREED_PAGE = 10;

/** Who takes the address. */
export interface IpClaim {
  belongs_to_uuid: string;
  belongs_to_type: string;
  owner_uuid: string;
  /** Default false. */
  reserved?: boolean;
}

/** An address with the write that takes it. */
export interface IpChoice {
  ip: string;
  request: BatchRequest;
}

export interface IpChooser {
  /**
   * The address to try now.
   * @param last why the batch with the one before was refused; that address
   *   is tried again unless it is what the refusal was about
   * @throws ServiceError 507 SubnetFull
   */
  next(last: StoreError | null): Promise<IpChoice>;
}

/** The error of a network without a free address. */
export function subnetFull(networkUuid: string): ServiceError {
  return new ServiceError(507, {
    code: 'SubnetFull',
    message: 'no more free IPs',
    network_uuid: networkUuid,
  });
}

type Candidate = { ip: string; etag: string | null };

/**
 * @param options `claim` says for whom; `start` and `end` (dotted quads)
 *   narrow the provision range, ends included; `hold` keeps others of this
 *   process away from the address until it is released
 */
export function createIpChooser(
  ctx: Pick<NapiContext, 'store' | 'claims'>,
  network: NetworkRecord,
  options: { claim: IpClaim; start?: string; end?: string; hold?: Hold },
): IpChooser {
  const bucket = ipBucket(network.uuid);
  const start = options.start ?? network.provision_start_ip;
  const end = options.end ?? network.provision_end_ip;
  let queue: Candidate[] = [];
  let current: Candidate | undefined;
  let gapsLeft = true;

  async function candidates(): Promise<Candidate[]> {
    // Nothing is provisioned on IPv6: its addresses are given by hand.
    if (network.family !== 'ipv4') return [];
    if (gapsLeft) {
      const found = await gap(ctx, bucket, start, end);
      if (found.length > 0) return found;
      gapsLeft = false;
    }
    return freed(ctx, bucket, start, end);
  }

  /** The first that nobody is about to take, else the first. */
  function pick(): Candidate | undefined {
    const at = queue.findIndex(({ ip }) => !ctx.claims.has(bucket, ip));
    return queue.splice(Math.max(at, 0), 1)[0];
  }

  return {
    async next(last) {
      if (current && last && isAbout(last, bucket, current.ip)) {
        current = undefined;
      }
      if (current === undefined && queue.length === 0) {
        queue = await candidates();
      }
      current ??= pick();
      if (current === undefined) throw subnetFull(network.uuid);
      const { ip, etag } = current;
      options.hold?.take(bucket, ip);
      return {
        ip,
        request: putIp(network.uuid, taken(ip, options.claim), etag),
      };
    },
  };
}

function isAbout(error: StoreError, bucket: string, ip: string): boolean {
  const { bucket: there, key } = error.context;
  return there === bucket && (key === undefined || key === ip);
}

function taken(ipaddr: string, claim: IpClaim): IpRecord {
  return {
    ipaddr,
    reserved: claim.reserved ?? false,
    belongs_to_type: claim.belongs_to_type,
    belongs_to_uuid: claim.belongs_to_uuid,
    owner_uuid: claim.owner_uuid,
    v: 2,
  };
}

/** Addresses never used, the lowest run of them. */
async function gap(
  ctx: Pick<NapiContext, 'store'>,
  bucket: string,
  start: string,
  end: string,
): Promise<Candidate[]> {
  const from = (parseIpv4(start) as number) - 1;
  const to = (parseIpv4(end) as number) + 1;
  const found = await ctx.store.findGap(bucket, 'ipaddr', from, to);
  if (found === null) return [];
  return Array.from({ length: found.length }, (_, i) => ({
    ip: formatIpv4(ipv4(found.start + i)),
    etag: null,
  }));
}

/** Addresses that were given back, the longest free first. */
async function freed(
  ctx: Pick<NapiContext, 'store'>,
  bucket: string,
  start: string,
  end: string,
): Promise<Candidate[]> {
  const { objects } = await ctx.store.findObjects<IpRecord>(
    bucket,
    `(&(ipaddr>=${start})(ipaddr<=${end})` +
      '(!(belongs_to_uuid=*))(reserved=false))',
    { limit: FREED_PAGE, sort: { attribute: '_mtime', order: 'ASC' } },
  );
  return objects.map(({ key, _etag }) => ({ ip: key, etag: _etag }));
}
