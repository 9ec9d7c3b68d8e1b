// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The mark on routes and neighbours that vxlnatd adds: a routing protocol
 * number of its own (after RFD 158), so that strays of a killed daemon are
 * found and nothing else is ever removed.
 */

/** rtm_protocol / NDA_PROTOCOL of everything we add. */
export const PROTOCOL = '158';
