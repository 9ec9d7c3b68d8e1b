// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The Linux kernel of this network namespace, through `ip -batch`. iproute2
 * does not say reliably which line of a batch failed, and removing what is
 * gone counts as a failure to it; so after a batch that complained, the kernel
 * is observed and each step judged by whether it holds now.
 */

import type { Announcer } from '../announce/announcer.js';
import type { Gratuitous } from '../announce/gratuitous.js';
import type { OsStep } from '../plan.js';
import { askIp, askIpAddresses, type RunIp } from './ip.js';
import type { Kernel, Observed } from './kernel.js';
import { PROTOCOL } from './mark.js';

/** What the Linux kernel adapter needs. */
export interface LinuxOptions {
  run: RunIp;
  tun: { name: string; mtu: number };
  underlay: string | null;
  /**
   * The zone's external address, null to let the kernel choose. ICMP errors
   * towards an instance are sent from it: the kernel would take an underlay
   * address, which no customer should see.
   */
  external_ip?: string | null;
  announcer: Announcer;
  gratuitous: Gratuitous;
  /** Sets the zone's sysctls. */
  setSwitches: () => Promise<void>;
}

/** The label of an address taken over; a label begins with its device. */
function labelOf(device: string): string {
  return `${device.slice(0, 13)}:v`;
}

interface AddressJson {
  addr_info?: { local?: string; label?: string }[];
}

function commandOf(options: LinuxOptions, step: OsStep): string | null {
  const { tun, underlay, announcer } = options;
  switch (step.kind) {
    case 'route':
      return (
        `route replace ${step.ip}/32 dev ${tun.name} proto ${PROTOCOL}` +
        (options.external_ip ? ` src ${options.external_ip}` : '')
      );
    case 'unroute':
      return `route del ${step.ip}/32 dev ${tun.name} proto ${PROTOCOL}`;
    case 'take':
      return underlay === null
        ? null
        : `addr replace ${step.ip}/32 dev ${underlay} ` +
            `label ${labelOf(underlay)}`;
    case 'give_up':
      return underlay === null
        ? null
        : `addr del ${step.ip}/32 dev ${underlay}`;
    case 'announce':
      return announcer.announceCommand(step.ip);
    case 'withdraw':
      return announcer.withdrawCommand(step.ip);
    default:
      return null;
  }
}

/** Whether a step's outcome is there; an unobserved field is believed. */
function holds(step: OsStep, seen: Observed): boolean {
  switch (step.kind) {
    case 'route':
      return seen.routed.has(step.ip);
    case 'unroute':
      return !seen.routed.has(step.ip);
    case 'take':
      return seen.takeovers.has(step.ip);
    case 'give_up':
      return !seen.takeovers.has(step.ip);
    case 'announce':
      return seen.announced?.has(step.ip) ?? true;
    case 'withdraw':
      return !(seen.announced?.has(step.ip) ?? false);
    default:
      return true;
  }
}

async function observe(options: LinuxOptions): Promise<Observed> {
  const { run, tun, underlay, announcer } = options;
  const routes = ['route', 'show', 'dev', tun.name, 'proto', PROTOCOL];
  const routed = await askIpAddresses(run, routes);
  const takeovers = new Set<string>();
  if (underlay !== null) {
    const links = (await askIp(run, [
      'addr',
      'show',
      'dev',
      underlay,
    ])) as AddressJson[];
    for (const address of links.flatMap((link) => link.addr_info ?? [])) {
      if (address.label !== labelOf(underlay)) continue;
      if (address.local !== undefined) takeovers.add(address.local);
    }
  }
  return {
    routed,
    takeovers,
    announced: await announcer.observe(run),
  };
}

/** Gratuitous ARPs that follow from steps which hold now. */
function follow(options: LinuxOptions, step: OsStep): void {
  const { announcer, gratuitous, underlay } = options;
  if (step.kind === 'announce' && announcer.device !== null) {
    gratuitous.start(announcer.device, step.ip);
  }
  if (step.kind === 'claim' && underlay !== null) {
    gratuitous.start(underlay, step.ip);
  }
}

/**
 * The kernel as a `Kernel`.
 * @param options devices, the announcer, and how commands are run
 */
export function linuxKernel(options: LinuxOptions): Kernel {
  async function batch(steps: OsStep[]): Promise<(string | null)[]> {
    const lines = steps.flatMap((step) => commandOf(options, step) ?? []);
    if (lines.length === 0) return steps.map(() => null);
    const result = await options.run(
      ['-force', '-batch', '-'],
      `${lines.join('\n')}\n`,
    );
    if (result.status === 0) return steps.map(() => null);
    const seen = await observe(options);
    const said = result.stderr.trim().replaceAll('\n', '; ');
    return steps.map((step) =>
      holds(step, seen) ? null : `ip ${commandOf(options, step)}: ${said}`,
    );
  }

  return {
    async prepare() {
      const { name, mtu } = options.tun;
      const args = ['link', 'set', 'dev', name, 'mtu', String(mtu), 'up'];
      const result = await options.run(args);
      if (result.status !== 0) {
        throw new Error(`ip ${args.join(' ')}: ${result.stderr.trim()}`);
      }
      await options.setSwitches();
    },
    observe: () => observe(options),
    async run(steps) {
      // Before the kernel forgets them: no repeat may follow a withdrawal.
      for (const step of steps) {
        if (step.kind === 'withdraw' || step.kind === 'unclaim') {
          options.gratuitous.stop(step.ip);
        }
      }
      let outcomes: (string | null)[];
      try {
        outcomes = await batch(steps);
      } catch (error) {
        outcomes = steps.map(() => (error as Error).message);
      }
      steps.forEach((step, i) => {
        if (outcomes[i] === null) follow(options, step);
      });
      return outcomes;
    },
    close: () => options.gratuitous.close(),
  };
}
