// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** The prototype's file: what it means, and every fault with its line. */

import test from 'tape';
import {
  ProtoFileError,
  parseProtoFile,
} from '../../../services/vxlnatd/proto-file.js';

const GOOD = [
  '# RFD 158 example',
  '',
  'bind 192.168.12.6',
  'map 1 0 90:B8:D0:6B:3B:5F 10.4.4.1/22 3.3.3.2',
  'map\t1  2\t90:b8:d0:6b:3b:60   10.5.5.1/24\t3.3.3.2',
  'fixed 1 0 10.4.5.1 3.3.3.5',
  'remote 1 0 10.4.5.1 90:b8:d0:0:0:1 192.168.12.1',
  'remote 1 2 10.5.5.9 90:b8:d0:00:00:02 192.168.12.2:8472',
];

test('a file gives rules, entries, remotes and addresses', (t) => {
  const desired = parseProtoFile('f', GOOD.join('\n'));
  t.deepEqual([...desired.ul3s], ['192.168.12.6']);
  t.deepEqual([...desired.rules.keys()], ['1,10.4.4.0/22', '1,10.5.5.0/24']);
  const rule = desired.rules.get('1,10.4.4.0/22');
  t.equal(rule?.gateway, '10.4.4.1');
  t.equal(rule?.router_mac, '90:b8:d0:6b:3b:5f');
  t.equal(desired.rules.get('1,10.5.5.0/24')?.vlan_id, 2);
  t.equal(desired.entries.get('1,10.4.5.1')?.public_ip, '3.3.3.5');
  t.deepEqual(desired.remotes.get('1,10.4.5.1'), {
    vnet_id: 1,
    ip: '10.4.5.1',
    mac: '90:b8:d0:00:00:01',
    ul3_ip: '192.168.12.1',
    ul3_port: 4789,
  });
  t.equal(desired.remotes.get('1,10.5.5.9')?.ul3_port, 8472);
  t.deepEqual([...desired.announced], ['3.3.3.2', '3.3.3.5']);
  t.end();
});

test('an empty file is no rules', (t) => {
  t.equal(parseProtoFile('f', '').rules.size, 0);
  t.equal(parseProtoFile('f', '\r\n# x\r\n').rules.size, 0);
  t.end();
});

const MAP = 'map 1 0 90:b8:d0:6b:3b:5f 10.4.4.1/22 3.3.3.2';
const FAULTS: [string, string[], string][] = [
  ['an unknown word', ['bond 1.2.3.4'], 'unknown word "bond"'],
  ['a word of Object', ['toString 1'], 'unknown word "toString"'],
  ['bind without address', ['bind'], 'expected "bind UL3", got 0 of 1'],
  ['bind with a name', ['bind host'], 'underlay address "host" is not'],
  ['an IPv6 address', ['bind ::1'], 'IPv6 is not supported'],
  ['a leading zero', ['bind 10.0.0.01'], 'is not an IPv4 address'],
  ['too few words', ['map 1 0 90:b8:d0:6b:3b:5f'], 'got 3 of 5 values'],
  ['too many words', [`${MAP} x`], 'got 6 of 5 values'],
  ['a vnet too large', [MAP.replace('1 0', '16777216 0')], 'vnet "16777216"'],
  ['a negative vlan', [MAP.replace('1 0', '1 -1')], 'vlan "-1"'],
  ['vlan 4095', [MAP.replace('1 0', '1 4095')], 'from 0 to 4094'],
  ['a bad MAC', [MAP.replace('90:b8', '90:zz')], 'router MAC "90:zz'],
  ['no prefix length', [MAP.replace('/22', '')], 'not of the form ROUTER-IP'],
  ['two slashes', [MAP.replace('/22', '/22/1')], 'not of the form ROUTER-IP'],
  ['prefix length 33', [MAP.replace('/22', '/33')], 'prefix length "33"'],
  ['a bad public', [MAP.replace('3.3.3.2', '3.3.3')], 'public address "3.3.3"'],
  ['the same map twice', [MAP, MAP], 'has a map of 10.4.4.0/22 already'],
  ['fixed before map', ['fixed 1 0 10.4.5.1 3.3.3.5', MAP], 'no map line'],
  ['fixed in another vnet', [MAP, 'fixed 2 0 10.4.5.1 3.3.3.5'], 'in vnet 2'],
  [
    'one address fixed twice',
    [MAP, 'fixed 1 0 10.4.5.1 3.3.3.5', 'fixed 1 0 10.4.5.1 3.3.3.6'],
    '10.4.5.1 in vnet 1 is fixed already',
  ],
  [
    'a public fixed twice',
    [MAP, 'fixed 1 0 10.4.5.1 3.3.3.5', 'fixed 1 0 10.4.5.2 3.3.3.5'],
    '3.3.3.5 is already used by a fixed line',
  ],
  [
    'a public mapped and fixed',
    [MAP, 'fixed 1 0 10.4.5.1 3.3.3.2'],
    '3.3.3.2 is already used by a map line',
  ],
  [
    'a remote port of 0',
    ['remote 1 0 10.4.5.1 90:b8:d0:0:0:1 192.168.12.1:0'],
    'port "0"',
  ],
  [
    'a remote with two ports',
    ['remote 1 0 10.4.5.1 90:b8:d0:0:0:1 192.168.12.1:1:2'],
    'not of the form UL3[:PORT]',
  ],
  [
    'a remote twice',
    [
      'remote 1 0 10.4.5.1 90:b8:d0:0:0:1 192.168.12.1',
      'remote 1 0 10.4.5.1 90:b8:d0:0:0:2 192.168.12.1',
    ],
    'has a remote already',
  ],
  ['a line of 1000 bytes', ['#'.padEnd(1000, 'x')], 'longer than 999 bytes'],
];

for (const [name, lines, expected] of FAULTS) {
  test(`fault: ${name}`, (t) => {
    try {
      parseProtoFile('/etc/v.conf', ['# one', ...lines].join('\n'));
      t.fail('accepted');
    } catch (error) {
      const { message } = error as Error;
      t.ok(error instanceof ProtoFileError, 'is a ProtoFileError');
      t.ok(message.includes(expected), message);
      const line = name.startsWith('fixed before') ? 2 : lines.length + 1;
      t.ok(message.startsWith(`/etc/v.conf:${line}: `), 'names the line');
    }
    t.end();
  });
}
