// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The operating system's side of an app, chosen by the configuration: which
 * announcer, and a kernel that is managed or left alone.
 */

import type { Clock } from '#lib/clock.js';
import type { Logger } from '#lib/service/log.js';
import type { Announcer } from '../announce/announcer.js';
import { arpAnnouncer } from '../announce/arp.js';
import { Speaker } from '../announce/bgp.js';
import { bgpKernel } from '../announce/bgp-kernel.js';
import { systemBird } from '../announce/bird.js';
import { createGratuitous } from '../announce/gratuitous.js';
import { noAnnouncer } from '../announce/none.js';
import type { Placement } from '../announce/placement.js';
import type { Config } from '../config.js';
import type { Engine } from '../engine.js';
import type { RunIp } from './ip.js';
import type { Kernel } from './kernel.js';
import { linuxKernel } from './linux.js';
import { setSwitches, zoneSwitches } from './sysctl.js';
import { unmanagedKernel } from './unmanaged.js';

function announcerOf(config: Config): Announcer {
  const device = config.external.interface;
  if (config.announce !== 'arp' || device === null) return noAnnouncer();
  return arpAnnouncer(device);
}

/**
 * The kernel that the configuration asks for.
 * @param run how `ip` is run
 * @param placement what a BGP speaker must know of the control plane
 */
export function openKernel(
  config: Config,
  engine: Engine,
  run: RunIp,
  clock: Clock,
  log: Logger,
  placement: Placement,
): Kernel {
  const kernel = plainKernel(config, engine, run, clock, log);
  const { announce, bgp, external } = config;
  if (announce !== 'bgp' || bgp === null) return kernel;
  const speaker = new Speaker({
    config: bgp,
    externalIp: external.ip,
    bird: systemBird(bgp.directory),
    placement,
    clock,
    log,
  });
  return bgpKernel(kernel, speaker);
}

function plainKernel(
  config: Config,
  engine: Engine,
  run: RunIp,
  clock: Clock,
  log: Logger,
): Kernel {
  const announcer = announcerOf(config);
  const gratuitous = createGratuitous(
    (device, ip) => engine.announceArp(device, ip),
    clock,
    log,
  );
  const underlay = config.underlay.interface;
  if (!config.manage_os)
    return unmanagedKernel(announcer, gratuitous, underlay);
  const switches = zoneSwitches({
    tun: config.tun.name,
    external: config.external.interface,
    underlay,
  });
  return linuxKernel({
    run,
    tun: config.tun,
    underlay,
    external_ip: config.external.ip,
    announcer,
    gratuitous,
    setSwitches: () => setSwitches(switches),
  });
}
