// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Frames as a network card brings them. What a local TCP stack sends over a
 * veth is a clone of what its socket holds, and the kernel copies each before
 * an XDP program of the receiver may see it: on the gateway's core, and only
 * for gateways that have one. So the ends get one hop more, on their own core,
 * that makes plain frames of it:
 *
 *   stack -- w0 ~~ w1 --XDP--> u0 ~~ u1 gateway
 *
 * The way back is by tc, which leaves super-packets whole, as a card with TSO
 * takes them. bench/wire.bpf.c knows the numbers of the devices.
 */

import * as plan from './addresses.js';
import type { Lab } from './lab.js';
import { WIRE } from './traffic.js';

const HOP = { end: 101, inner: 102 };
const SPARE_MAC = '02:00:00:00:99:01';

/** Between the stack of `end` and its `link`, whose address and MAC move. */
function insert(
  lab: Lab,
  end: 'cn' | 'inet',
  link: string,
  own: { ip: string; mac: string },
): void {
  lab.ip(
    end,
    `addr del ${own.ip}/24 dev ${link}
     link set ${link} address ${SPARE_MAC}
     link add w0 index ${HOP.end} address ${own.mac} type veth peer name w1 index ${HOP.inner}
     addr add ${own.ip}/24 dev w0
     link set w1 up
     link set w0 up
    `,
  );
  lab.in(
    end,
    `ethtool -K w1 gro on; ethtool -K w0 gro on
     ip link set dev w1 xdp obj ${WIRE} sec xdp
     tc qdisc add dev ${link} clsact
     tc filter add dev ${link} ingress bpf da obj ${WIRE} sec tc`,
  );
}

/** Puts the hop between both ends and a gateway that is up. */
export function asFromCards(lab: Lab): void {
  insert(lab, 'cn', 'u0', { ip: plan.CN, mac: plan.CN_MAC });
  lab.ip(
    'cn',
    `neigh replace ${plan.GATEWAY} lladdr ${plan.GATEWAY_MAC} dev w0 nud permanent
     link set vx1 type vxlan id 1 dev w0
    `,
  );
  insert(lab, 'inet', 'e0', { ip: plan.INTERNET, mac: plan.INTERNET_MAC });
  lab.ip(
    'inet',
    `neigh replace ${plan.EXTERNAL} lladdr ${plan.EXTERNAL_MAC} dev w0 nud permanent
     route add 3.3.0.0/16 via ${plan.EXTERNAL} src ${plan.SERVER}
    `,
  );
}
