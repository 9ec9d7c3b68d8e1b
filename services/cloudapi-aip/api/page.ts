// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** `/docs`: the calls for people, and the OpenAPI document for programs. */

import type { Route } from '#lib/http/types.js';
import { openApi } from './openapi.js';
import { HEADERS, type Operation, operations } from './operations.js';

const STYLE =
  'body{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto;padding:0 1em}' +
  'code{background:#eee;padding:0 .2em}dt{font-family:monospace}dd{margin:0 2em}';

/** Text of a page. */
function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}

function section(name: string, operation: Operation): string {
  const { method, path, summary, query, body, headers } = operation;
  const terms = [
    ...[...query, ...body].map(({ names, about }) => [
      names.join(' or '),
      about,
    ]),
    ...headers.map((header) => [header, HEADERS[header]]),
  ] as [string, string][];
  const list = terms
    .map(([term, about]) => `<dt>${escaped(term)}<dd>${escaped(about)}`)
    .join('');
  return (
    `<h2 id="${name}">${name}</h2>` +
    `<p><code>${method} ${escaped(path)}</code></p>` +
    `<p>${escaped(summary)}.</p><dl>${list}</dl>`
  );
}

/** The page as text. */
export function docsPage(): string {
  const sections = Object.entries(operations)
    .map(([name, operation]) => section(name, operation))
    .join('');
  return (
    '<!doctype html><html lang="en"><meta charset="utf-8">' +
    `<title>Assignable IPs</title><style>${STYLE}</style>` +
    '<h1>Assignable IPs</h1><p>RFD 158, as CloudAPI speaks. For programs: ' +
    '<a href="/docs/openapi.json">openapi.json</a>.</p>' +
    `${sections}</html>`
  );
}

/**
 * The routes of the documentation; nobody has to sign for them.
 * @param version of the software
 * @param versions the API versions that may be asked for
 */
export function docsRoutes(version: string, versions: string[]): Route[] {
  const document = openApi(version);
  const content = docsPage();
  const type = 'text/html; charset=utf-8';
  return [
    {
      method: ['GET', 'HEAD'],
      path: '/docs',
      name: 'getdocs',
      versions,
      handler: () => ({ status: 200, text: { type, content } }),
    },
    {
      method: ['GET', 'HEAD'],
      path: '/docs/openapi.json',
      name: 'getopenapi',
      versions,
      handler: () => ({ status: 200, body: document }),
    },
  ];
}
