// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** What the changefeed offers: resources, their changes, where to bootstrap. */

import type { Resource } from '#lib/changefeed/index.js';
import { AGGREGATION_CHANGES } from './aggregation/record.js';
import { NETWORK_CHANGES } from './network/event.js';
import { NIC_CHANGES } from './nic/changes.js';

/** Real NAPI's resources first (facts: triton-napi 10.6), then our own. */
export const resources: Resource[] = [
  {
    resource: 'network',
    bootstrapRoute: '/networks',
    subResources: NETWORK_CHANGES,
  },
  { resource: 'nic', bootstrapRoute: '/nics', subResources: NIC_CHANGES },
  {
    resource: 'nic_tag',
    bootstrapRoute: '/nic_tags',
    subResources: ['create', 'delete'],
  },
  {
    resource: 'aggregation',
    bootstrapRoute: '/aggregations',
    subResources: AGGREGATION_CHANGES,
  },
  {
    resource: 'aip',
    bootstrapRoute: '/aips',
    subResources: ['create', 'delete', 'assign', 'detach', 'update'],
  },
  {
    resource: 'nat_zone',
    bootstrapRoute: '/nat_zones',
    subResources: ['create', 'delete', 'state'],
  },
  {
    resource: 'nat_public',
    bootstrapRoute: '/nat_publics',
    subResources: ['create', 'delete', 'zone'],
  },
  {
    resource: 'ul3_mapping',
    bootstrapRoute: '/ul3_mappings',
    subResources: ['put', 'delete'],
  },
];
