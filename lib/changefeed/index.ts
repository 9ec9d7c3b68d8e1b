// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The changefeed: how napi-nat tells others what changed.
 *
 * Purpose. A listener learns of every committed change at once, and knows when
 * it has missed one. To Triton's own listeners (npm `changefeed`) the
 * publisher is the one they know; our subscriber gets more.
 *
 * Sequence (facts: triton-napi 10.2).
 *
 *   listener                                publisher
 *     | GET /changefeeds, upgrade             |
 *     |-------------------------------------->|  accept-version picks v1 or v2
 *     | {"instance",..,"resources":[..]}      |
 *     |-------------------------------------->|
 *     |             {"bootstrapRoutes":[..]}  |  or CLOSE 1000 with a reason
 *     |<--------------------------------------|
 *     |     {"changeKind",..,"published"}     |  for each matching change
 *     |<--------------------------------------|
 *
 * Extension, seen only by who asks. A v2 registration may have
 * `"extension":{"resume":<position>|null}`. The answer then has `position`
 * and `resumed`; items have `seq` (their journal position), `prev` (that of
 * the item sent before on this registration, at first the point resumed from,
 * else `position`) and `object`; a `{"heartbeat":{"position"}}` each second
 * shows that nothing up to there is still to come, and that the line lives.
 *
 * Invariants.
 * - The journal is the only source: an item is what was committed with its
 *   object (design 4.2), so none is lost between commit and publication.
 * - Items leave in journal order, each once for each registration, however
 *   many of its sub-resources match.
 * - A listener is either live, fed by commits, or catching up from the
 *   journal; an entry that is not the next one sends it back to catching up.
 * - Memory is bounded: what waits for one listener never exceeds its limit by
 *   more than one item. Whoever is slower is closed with 1008 "too slow".
 * - The subscriber registers before it bootstraps, so that the snapshot and
 *   the items overlap; items that the snapshot has are dropped by position.
 *
 * At a publisher without the extension, which is npm `changefeed`'s own, the
 * subscriber can tell neither gaps nor positions, and items come without their
 * object: each tells it to bootstrap again.
 *
 * Failure. A lost connection is resumed from the last position; when the
 * journal no longer reaches so far back (`resumed` false), or `prev` is not
 * what was received last, the subscriber bootstraps again. A line that is
 * silent for longer than its idle limit counts as lost. Bad input closes that
 * one connection with a reason and harms no other.
 */

export type { BackoffOptions } from './backoff.js';
export type { Item, Resource, Wanted } from './frames.js';
export {
  createPublisher,
  type Publisher,
  type PublisherLimits,
  type PublisherOptions,
} from './publisher.js';
export {
  createSubscriber,
  type Subscriber,
  type SubscriberOptions,
  type SubscriberStatus,
} from './subscriber.js';
