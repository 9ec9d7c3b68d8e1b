// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Values that must not cross the bridge: each field absent, undefined, null
 * or of the wrong type is refused with its path, before anything is opened or
 * applied. Most need no privileges: conversion comes before the first socket.
 */

import test from 'tape';
import { loadBinding } from '#native/binding.js';
import { asVxlNatError, InvalidValueError, VxlNat } from '#native/index.js';
import type { EngineConfigDto, IoConfigDto } from '#native/native.js';

const CONFIG: EngineConfigDto = {
  vxlan_port: 4789,
  probe_vnet: 1,
  inner_mtu: 1450,
  max_flows: 64,
  max_vnets: 16,
  max_rules: 64,
  max_one_to_ones: 64,
  max_remotes: 64,
  port_low: 1024,
  port_high: 65535,
  timers: {
    tcp_established: 1,
    tcp_opening: 1,
    tcp_closing: 1,
    udp: 1,
    icmp: 1,
    fragment: 1,
    quarantine: 1,
  },
  seed: '00112233445566778899aabbccddeeff',
  rst_on_unknown: false,
  host_limits: { flows: 0, opening: 0, per_second: 0 },
  vnet_limits: { flows: 0, opening: 0, per_second: 0 },
};
const IO: IoConfigDto = {
  kind: 'tun',
  // No interface has this name: an open that gets so far fails cleanly.
  underlay_interface: 'vxnone-missing',
  external_interface: null,
  external_vlan: 0,
  tun_name: 'vxnone0',
  tun_mtu: 1500,
  burst: 32,
  lanes: 0,
  pins: null,
};

/** The message of what native code throws for these two objects. */
function refusal(config: unknown, io: unknown): string {
  const binding = loadBinding();
  try {
    binding.engineOpen(config as EngineConfigDto, io as IoConfigDto, () => {});
  } catch (error) {
    return (error as Error).message;
  }
  return 'nothing was thrown';
}

test('every absent or undefined field of a config is named', (t) => {
  for (const name of Object.keys(CONFIG)) {
    const { [name as keyof EngineConfigDto]: _gone, ...rest } = CONFIG;
    t.equal(refusal(rest, IO), `config.${name}: missing`);
    t.equal(
      refusal({ ...CONFIG, [name]: undefined }, IO),
      `config.${name}: missing`,
    );
  }
  for (const name of Object.keys(CONFIG.timers)) {
    const timers = { ...CONFIG.timers, [name]: undefined };
    t.equal(
      refusal({ ...CONFIG, timers }, IO),
      `config.timers.${name}: missing`,
    );
  }
  for (const name of Object.keys(IO)) {
    t.equal(
      refusal(CONFIG, { ...IO, [name]: undefined }),
      `io.${name}: missing`,
    );
  }
  t.end();
});

test('null is accepted only where it is declared', (t) => {
  for (const name of Object.keys(CONFIG)) {
    t.match(
      refusal({ ...CONFIG, [name]: null }, IO),
      new RegExp(`^config\\.${name}: expected .* got null$`),
    );
  }
  t.match(refusal(null, IO), /^config: expected an object, got null$/);
  t.match(refusal(CONFIG, []), /^io: expected an object, got an array$/);
  t.end();
});

test('wrong types and ranges are refused with what was given', (t) => {
  const with_ = (part: object) => refusal({ ...CONFIG, ...part }, IO);
  t.match(with_({ vxlan_port: '4789' }), /^config\.vxlan_port: .*"4789"$/);
  t.match(with_({ vxlan_port: 65536 }), /65535, got 65536$/);
  t.match(with_({ vxlan_port: 1.5 }), /got 1\.5$/);
  t.match(with_({ probe_vnet: -1 }), /^config\.probe_vnet: .*-1$/);
  t.match(with_({ max_flows: Number.NaN }), /^config\.max_flows: .*NaN$/);
  t.match(with_({ seed: 'zz' }), /^config\.seed: expected 32 hex digits/);
  t.match(with_({ rst_on_unknown: 1 }), /^config\.rst_on_unknown: .*got 1$/);
  t.match(refusal(CONFIG, { ...IO, kind: 'raw' }), /^io\.kind: /);
  t.end();
});

test('the callback must be a function', (t) => {
  const open = loadBinding().engineOpen as (...args: unknown[]) => object;
  t.throws(() => open(CONFIG, IO, null), /^FieldError: onEvents: expected/);
  t.throws(() => open(CONFIG, IO), /^FieldError: onEvents: expected/);
  t.end();
});

test('an interface that does not exist is an I/O error', (t) => {
  t.match(refusal(CONFIG, IO), /vxnone-missing does not exist/);
  t.end();
});

test('what is not an engine is refused by every call', (t) => {
  const binding = loadBinding();
  for (const handle of [{}, [], null, 'engine', 7]) {
    const wrong = handle as object;
    const calls = [
      () => binding.engineStats(wrong),
      () => binding.engineDrops(wrong),
      () => binding.engineApply(wrong, []),
      () => binding.engineIo(wrong),
      () => binding.engineAttach(wrong),
      () => binding.engineClose(wrong, false),
    ];
    for (const call of calls) t.throws(call, /engine: expected an engine/);
  }
  t.end();
});

test('the wrapper names fields of its own checks too', (t) => {
  const open = (config: object, io: object) => () =>
    VxlNat.open(config, io, () => {});
  const wrong: [object, object, string][] = [
    [{ vxlan_port: 0 }, {}, 'config.vxlan_port'],
    [{ port_low: 5000, port_high: 4000 }, {}, 'config.port_high'],
    [{ timers: { udp: 0 } }, {}, 'config.timers.udp'],
    [{ timers: { utp: 1 } }, {}, 'config.timers.utp'],
    [{ colour: 'red' }, {}, 'config.colour'],
    [{ inner_mtu: 500 }, {}, 'config.inner_mtu'],
    [{}, { tun_name: 'a name with spaces' }, 'io.tun_name'],
    [{}, { burst: 0 }, 'io.burst'],
  ];
  for (const [config, io, field] of wrong) {
    try {
      open(config, io)();
      t.fail(`${field} was accepted`);
    } catch (error) {
      t.ok(error instanceof InvalidValueError, `${field} is refused`);
      t.equal((error as InvalidValueError).field, field);
    }
  }
  t.end();
});

test('native errors become classes', (t) => {
  const native = new Error('operations[3].prefix: missing');
  native.name = 'FieldError';
  const error = asVxlNatError(native) as InvalidValueError;
  t.ok(error instanceof InvalidValueError);
  t.equal(error.field, 'operations[3].prefix');
  t.equal(error.code, 'InvalidValue');
  t.equal(error.cause, native);
  t.equal(asVxlNatError(7), 7, 'what is not an error stays as it is');
  t.end();
});
