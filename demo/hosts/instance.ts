// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * A server inside an instance: HTTP that names the instance, a line-echo over
 * TCP, and a UDP echo. `node instance.js NAME HTTP_PORT ECHO_PORT`.
 */

import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';

const [name, httpPort, echoPort] = process.argv.slice(2) as string[];

createServer((request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(
    `${JSON.stringify({ instance: name, from: request.socket.remoteAddress })}\n`,
  );
}).listen(Number(httpPort), '0.0.0.0');

createTcpServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
}).listen(Number(echoPort), '0.0.0.0');

const udp = createSocket('udp4');
udp.on('message', (message, from) => {
  udp.send(message, from.port, from.address);
});
udp.bind(Number(echoPort), '0.0.0.0', () => console.log('{"ready":true}'));
