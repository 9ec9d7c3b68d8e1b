// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The host on the Internet: an HTTP server that tells the client which address
 * it saw, and a UDP echo. Runs as a process of its own in its namespace:
 * `node internet.js IP HTTP_PORT UDP_PORT`. Each request is logged as a JSON
 * line, so that the demo can check afterwards that no private address arrived.
 */

import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';

const [ip, httpPort, udpPort] = process.argv.slice(2) as string[];

const server = createServer((request, response) => {
  const address = request.socket.remoteAddress;
  const port = request.socket.remotePort;
  console.log(JSON.stringify({ saw: address, port, path: request.url }));
  response.setHeader('content-type', 'application/json');
  response.end(
    `${JSON.stringify({ you: address, port, path: request.url })}\n`,
  );
});
server.listen(Number(httpPort), ip);

const echo = createSocket('udp4');
echo.on('message', (message, from) => {
  echo.send(message, from.port, from.address);
});
echo.bind(Number(udpPort), ip, () => console.log('{"ready":true}'));
