/** What a child asks of a server goes by a connection of its own, whoever has asked that server before the fork. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { runProgram } from '../support/programs.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

forEachStartMethod((_, method) => {
  test('the first request of a child goes by no connection of its parent', async () => {
    let connections = 0;
    const server = createServer((request, response) => {
      const socket = request.socket as { number?: number };
      socket.number ??= ++connections;
      response.end(`connection ${socket.number}\n`);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const { code, stdout, stderr } = await runProgram('first_request', [String(port), method], {
      method,
    });
    server.closeAllConnections();
    await once(server.close(), 'close');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const numbers = stdout.match(/(?<=connection )\d+/g) ?? [];
    expect(numbers).toHaveLength(6);
    expect(new Set(numbers).size).toBe(6);
  });
});
