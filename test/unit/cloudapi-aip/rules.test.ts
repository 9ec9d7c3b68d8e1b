// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** Rules of roles: what mahi parsed, what an account file says in words. */

import test from 'tape';
import {
  allows,
  namesResources,
  parseRule,
  type Rule,
  type Wanted,
} from '../../../services/cloudapi-aip/auth/rules.js';

const NOW = new Date('2026-11-21T10:30:00.000Z');
const WANTED: Wanted = {
  action: 'getaip',
  resource: '/alice/aips',
  conditions: {
    date: NOW,
    day: NOW,
    time: NOW,
    'user-agent': 'triton/7.17.0',
    sourceip: '::ffff:10.1.2.3',
    method: 'get',
  },
};

/** A rule as mahi gives it, with these conditions. */
function when(conditions: unknown, more: Partial<Rule> = {}): Rule {
  const actions = { exact: { getaip: true }, regex: [] };
  return { effect: true, actions, conditions, ...more };
}

const is = (name: string, op: string, value: unknown) => [op, { name }, value];

test('actions and resources are names, wildcards or all', (t) => {
  const regex = (pattern: string) => ({ exact: {}, regex: [pattern] });
  const cases: [Partial<Rule>, boolean][] = [
    [{}, true],
    [{ actions: 1 }, true],
    [{ actions: { exact: ['getaip'], regex: [] } }, true],
    [{ actions: { exact: { listaips: true }, regex: [] } }, false],
    [{ actions: { exact: {}, regex: [] } }, false],
    [{ actions: { exact: { constructor: true }, regex: [] } }, false],
    [{ actions: regex('/get.*/') }, true],
    [{ actions: regex('/^list.*$/') }, false],
    [{ actions: regex('/(g+)+x/') }, false],
    [{ effect: false }, false],
    [{ principals: { exact: { fred: true }, regex: [] } }, false],
    [{ resources: 1 }, true],
    [{ resources: regex('/\\/alice\\/aips.*/') }, true],
    [{ resources: regex('/\\/bob\\/.*/') }, false],
  ];
  for (const [more, expected] of cases) {
    const label = JSON.stringify(more);
    t.equal(allows(when(undefined, more), WANTED), expected, label);
  }
  t.equal(namesResources(when([], { resources: 1 })), true);
  t.equal(namesResources(when([])), false);
  t.equal(namesResources(when([], { resources: regex('/x/') })), true);
  t.end();
});

test('conditions are judged by the type of the fact', (t) => {
  const cases: [unknown, boolean][] = [
    [[], true],
    [is('sourceip', '=', '10.1.2.3'), true],
    [is('sourceip', '=', '10.1.0.0/16'), true],
    [is('sourceip', '=', '10.2.0.0/16'), false],
    [is('sourceip', '=', 'x'), false],
    [is('method', '=', 'get'), true],
    [is('method', '=', 'put'), false],
    [is('user-agent', 'like', '/^triton.*/'), true],
    [is('user-agent', 'like', '/(t+)+$/'), false],
    [is('time', '>=', '09:00'), true],
    [is('time', '<', '10:30:00'), false],
    [is('time', '=', '10:30'), true],
    [is('day', '=', '6'), true],
    [is('day', '=', '7'), false],
    [is('date', '<', '2027-01-01'), true],
    [is('date', '>', 'never'), false],
    [['and', is('method', '=', 'get'), is('day', '=', '6')], true],
    [['and', is('method', '=', 'get'), is('day', '=', '5')], false],
    [['or', is('method', '=', 'put'), is('day', '=', '6')], true],
    [['not', is('method', '=', 'put')], true],
    [['in', { name: 'method' }, ['put', 'get']], true],
    [['in', { name: 'method' }, ['put']], false],
    [['=', { name: 'method', type: 'string' }, 'get'], true],
    [['=', { name: 'method', type: 'odd' }, 'get'], false],
    [is('tag_x', '=', 'y'), false],
    [['not', is('tag_x', '=', 'y')], false],
    [is('constructor', '=', 'y'), false],
    ['nonsense', false],
    [{}, false],
    [7, false],
  ];
  for (const [conditions, expected] of cases) {
    const label = JSON.stringify(conditions);
    t.equal(allows(when(conditions), WANTED), expected, label);
  }
  t.end();
});

test('the words of a rule are read, what else there is refused', (t) => {
  const actions = (text: string) => {
    const rule = parseRule(text)?.actions;
    return typeof rule === 'object' ? Object.keys(rule.exact).join() : rule;
  };
  t.equal(actions('CAN listaips'), 'listaips');
  t.equal(actions('can ListAIPs and getaip'), 'listaips,getaip');
  t.equal(actions('CAN a, b, and c'), 'a,b,c');
  t.equal(actions('CAN a, b and c'), 'a,b,c');
  t.equal(actions('CAN *'), 1);
  for (const text of [
    '',
    'CAN',
    'getaip',
    'CAN NOT getaip',
    'CAN getaip WHEN day = 1',
    'fred CAN getaip',
    'CAN get*',
    'CAN getaip /alice/aips',
    'CAN a,, b',
  ]) {
    t.equal(parseRule(text), null, `"${text}"`);
  }
  t.end();
});
