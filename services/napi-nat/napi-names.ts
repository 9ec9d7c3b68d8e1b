// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Real NAPI's configuration under our names (facts: triton-napi 7, 4.4), so
 * that what SAPI writes for NAPI can be had as it is, with our own sections
 * beside it. Pure.
 */

type Names = Record<string, unknown>;

const TOP: Record<string, string> = {
  macOUI: 'mac_oui',
  ufdsAdminUuid: 'admin_uuid',
  autoAllocSubnets: 'auto_alloc_subnets',
  allowLinklocal: 'allow_linklocal',
  initialNetworks: 'initial_networks',
  logLevel: 'log_level',
};
const OVERLAY: Record<string, string> = {
  defaultOverlayMTU: 'default_overlay_mtu',
  defaultUnderlayMTU: 'default_underlay_mtu',
  overlayNicTag: 'overlay_nic_tag',
  underlayNicTag: 'underlay_nic_tag',
};
/** What is not needed here: there is no moray, nor an instance to name. */
const IGNORED = [
  'adminIp',
  'bucketPrefix',
  'instanceUuid',
  'maxHttpSockets',
  'moray',
  'port',
  'serverUuid',
  'serviceName',
];
/** NAPI says only `enabled: false` where there are no overlays. */
const NO_OVERLAY = {
  default_overlay_mtu: 1500,
  default_underlay_mtu: 1500,
  overlay_nic_tag: 'sdc_overlay',
  underlay_nic_tag: 'sdc_underlay',
};

function isObject(value: unknown): value is Names {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Renames; a key that is there under our name too stays, to be refused. */
function renamed(from: Names, names: Record<string, string>): Names {
  return Object.fromEntries(
    Object.entries(from).map(([key, value]) => {
      const own = names[key];
      return [own === undefined || own in from ? key : own, value];
    }),
  );
}

/**
 * @param content a configuration file's, unchecked
 * @returns the same under our names only
 */
export function ownNames(content: unknown): unknown {
  if (!isObject(content)) return content;
  const { adminIp: host, port } = content;
  const known = Object.fromEntries(
    Object.entries(content).filter(([key]) => !IGNORED.includes(key)),
  );
  const config = renamed(known, TOP);
  if (!('listen' in config) && port !== undefined) {
    config['listen'] = { ...(host !== undefined && { host }), port };
  }
  const { overlay } = config;
  if (isObject(overlay)) {
    const own = renamed(overlay, OVERLAY);
    const enabled = own['enabled'] !== false;
    config['overlay'] = enabled ? own : { ...NO_OVERLAY, ...own };
  }
  return config;
}
