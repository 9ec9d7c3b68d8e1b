// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The customers' side of the example: their fabric networks and instances, and
 * the compute nodes that carry them. Networks and NICs are created through
 * napi-nat as VMAPI would when a customer provisions an instance.
 */

import { type Deployment, startService } from './deployment.js';
import {
  CUSTOMERS,
  type Customer,
  FABRIC_VLAN,
  HEAD,
  INSTANCES,
  type Instance,
  NODES,
} from './topology.js';
import { addInstance, addVnetBridge, vnetBridge } from './world.js';

export interface FabricNetwork {
  uuid: string;
  name: string;
  vnet_id: number;
  gateway: string;
  subnet: string;
  mtu: number;
  nat_reform_public?: string;
}

const networks = new WeakMap<Deployment, Map<string, FabricNetwork>>();

/** A fabric network of the example by its name. */
export function network(deployment: Deployment, name: string): FabricNetwork {
  const found = networks.get(deployment)?.get(name);
  if (found === undefined) throw new Error(`no fabric network ${name}`);
  return found;
}

/** Creates a customer's VLAN; the first gives the customer a vnet. */
async function addVlan(
  deployment: Deployment,
  customer: Customer,
): Promise<void> {
  const vlan = await deployment.napi.must<{ vnet_id: number }>(
    'POST',
    `/fabrics/${customer.uuid}/vlans`,
    { vlan_id: FABRIC_VLAN, name: 'default' },
  );
  deployment.vnets.set(customer.login, vlan.vnet_id);
}

/** Creates one fabric network whose router is `.1` of its subnet's start. */
export async function addFabricNetwork(
  deployment: Deployment,
  customer: Customer,
  name: string,
  subnet: string,
): Promise<FabricNetwork> {
  const [base, bits] = subnet.split('/') as [string, string];
  const octets = base.split('.').map(Number);
  const top = (octets[2] as number) + 2 ** (24 - Number(bits)) - 1;
  const start = octets.slice(0, 3).join('.');
  const created = await deployment.napi.must<FabricNetwork>(
    'POST',
    `/fabrics/${customer.uuid}/vlans/${FABRIC_VLAN}/networks`,
    {
      name,
      subnet,
      gateway: `${start}.1`,
      provision_start_ip: `${start}.2`,
      provision_end_ip: `${octets[0]}.${octets[1]}.${top}.250`,
      internet_nat: true,
    },
  );
  const known = networks.get(deployment) ?? new Map<string, FabricNetwork>();
  networks.set(deployment, known.set(name, created));
  return created;
}

/** Provisions an instance's NIC and plugs the instance in. */
export async function provision(
  deployment: Deployment,
  instance: Instance,
): Promise<void> {
  const fabric = network(deployment, instance.network);
  const customer = CUSTOMERS.find((c) => c.login === instance.login);
  const node = NODES.find((n) => n.name === instance.node);
  const nic = await deployment.napi.must<{ mac: string }>(
    'POST',
    `/networks/${fabric.uuid}/nics`,
    {
      belongs_to_type: 'zone',
      belongs_to_uuid: instance.uuid,
      owner_uuid: customer?.uuid,
      cn_uuid: node?.uuid,
      ip: instance.ip,
      primary: true,
      state: 'running',
    },
  );
  await addInstance(
    deployment.lab,
    instance,
    {
      mac: nic.mac,
      prefix: Number(fabric.subnet.split('/')[1]),
      gateway: fabric.gateway,
      mtu: fabric.mtu,
    },
    fabric.vnet_id,
  );
  deployment.lab.start(instance.name, `instance-${instance.name}`, [
    process.execPath,
    new URL('./hosts/instance.js', import.meta.url).pathname,
    instance.name,
    '80',
    '7',
  ]);
}

/** Creates all customers' networks, then compute nodes, then instances. */
export async function startNodes(deployment: Deployment): Promise<void> {
  for (const customer of CUSTOMERS) {
    await addVlan(deployment, customer);
    for (const { name, subnet } of customer.networks) {
      await addFabricNetwork(deployment, customer, name, subnet);
    }
  }
  const vnets = [...deployment.vnets.values()];
  for (const node of NODES) {
    for (const vnet of vnets) {
      await addVnetBridge(deployment.lab, node.name, vnet);
    }
    deployment.services.set(
      node.name,
      startService(deployment.lab, node.name, node.name, 'svp-agent', {
        svp: { host: HEAD.admin, port: HEAD.svp_port },
        napi: { url: `http://${HEAD.admin}:${HEAD.napi_port}` },
        cn_uuid: node.uuid,
        underlay_ip: node.ul3,
        underlay_interface: 'underlay0',
        vxlan_port: 4789,
        mtu: 1500,
        vnets: vnets.map((vnet_id) => ({
          vnet_id,
          device: `vx${vnet_id}`,
          bridge: vnetBridge(vnet_id),
          vlan: FABRIC_VLAN,
        })),
        log_level: 'info',
      }),
    );
  }
  for (const instance of INSTANCES) await provision(deployment, instance);
}
