// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Two pairs of hands: a customer, who signs each request to cloudapi-aip as the
 * CloudAPI documentation's recipe does (HTTP Signature over `date`, facts:
 * cloudapi 2), and the operator, who talks JSON to the APIs on the admin
 * network. The demo process runs in the operator's machine, so both simply
 * connect.
 */

import { createSign, generateKeyPairSync } from 'node:crypto';

export interface Answer<T = Record<string, unknown>> {
  status: number;
  /** Parsed JSON; an empty object when the body was empty. */
  body: T;
}

/** A customer's login with a key pair made for this run. */
export interface Identity {
  login: string;
  uuid: string;
  privateKey: string;
  publicKey: string;
}

/** Makes a customer's key pair. */
export function createIdentity(login: string, uuid: string): Identity {
  const pair = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return {
    login,
    uuid,
    privateKey: pair.privateKey,
    publicKey: pair.publicKey,
  };
}

/** The headers that sign one request. */
function sign(identity: Identity): Record<string, string> {
  const date = new Date().toUTCString();
  const signature = createSign('RSA-SHA256')
    .update(`date: ${date}`)
    .sign(identity.privateKey, 'base64');
  return {
    date,
    authorization:
      `Signature keyId="/${identity.login}/keys/demo",` +
      `algorithm="rsa-sha256",headers="date",signature="${signature}"`,
  };
}

/** A JSON client of one API; signs when it has an identity. */
export class Client {
  readonly #base: string;
  readonly #identity: Identity | null;

  constructor(base: string, identity: Identity | null = null) {
    this.#base = base;
    this.#identity = identity;
  }

  /** Sends one request and answers whatever status came. */
  async call<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: object,
  ): Promise<Answer<T>> {
    const response = await fetch(`${this.#base}${path}`, {
      method,
      signal: AbortSignal.timeout(10_000),
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(this.#identity === null ? {} : sign(this.#identity)),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      body: (text === '' ? {} : JSON.parse(text)) as T,
    };
  }

  /** Sends one request that must succeed; the error tells the whole answer. */
  async must<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: object,
  ): Promise<T> {
    const answer = await this.call<T>(method, path, body);
    if (answer.status >= 300) {
      throw new Error(
        `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`,
      );
    }
    return answer.body;
  }
}
