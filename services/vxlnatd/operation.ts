// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Steps in the engine's words. Pure. */

import type { Remote } from './desired.js';
import type { Operation } from './engine.js';
import type { EngineStep } from './plan.js';

/** The engine's operation for a step. */
export function operationOf(step: EngineStep): Operation {
  switch (step.kind) {
    case 'set_rule':
      return {
        op: 'set_rule',
        vnet: step.rule.vnet_id,
        vlan: step.rule.vlan_id,
        prefix: step.rule.subnet,
        router_ip: step.rule.gateway,
        router_mac: step.rule.router_mac,
        public_ip: step.rule.nat_reform_public,
        options: step.rule.options ?? null,
      };
    case 'remove_rule':
      return {
        op: 'remove_rule',
        vnet: step.rule.vnet_id,
        prefix: step.rule.subnet,
      };
    case 'set_entry':
      return {
        op: 'set_one_to_one',
        vnet: step.entry.vnet_id,
        vlan: step.entry.vlan_id,
        private_ip: step.entry.private_ip,
        public_ip: step.entry.public_ip,
      };
    case 'remove_entry':
      return {
        op: 'remove_one_to_one',
        vnet: step.entry.vnet_id,
        private_ip: step.entry.private_ip,
      };
    case 'set_remote':
      return remoteOperation(step.remote);
    case 'remove_remote':
      return {
        op: 'remove_remote',
        vnet: step.remote.vnet_id,
        ip: step.remote.ip,
      };
    case 'set_limits':
      return {
        op: 'set_vnet_limits',
        vnet: step.vnet,
        ...(step.limits ?? { flows: 0, opening: 0, per_second: 0 }),
      };
    case 'drain':
    case 'undrain':
      return {
        op: 'set_drain',
        public_ip: step.ip,
        draining: step.kind === 'drain',
      };
    default:
      return { op: step.kind, ip: step.ip };
  }
}

/** The engine's operation that sets a remote. */
export function remoteOperation(remote: Remote): Operation {
  return {
    op: 'set_remote',
    vnet: remote.vnet_id,
    ip: remote.ip,
    mac: remote.mac,
    ul3_ip: remote.ul3_ip,
    ul3_port: remote.ul3_port,
  };
}
