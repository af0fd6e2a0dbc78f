/**
 * One HTTP port, many processes: the parent accepts, and passes each connection to one of three children, which answer.
 *
 *     npx tsx examples/pass_a_socket.ts
 */
import { createServer as createHttpServer, get } from 'node:http';
import { createServer, type Socket } from 'node:net';
import * as mp from 'multiprocessing';
import type { Connection } from 'multiprocessing/connection';

/** Answers on the sockets that come, until null does. */
export async function worker(name: string, sockets: Connection): Promise<void> {
  const http = createHttpServer((request, response) => {
    response.setHeader('connection', 'close');
    response.end(`${name} answers ${request.url}`);
  });
  for (;;) {
    const socket = (await sockets.recv()) as Socket | null;
    if (socket === null) break;
    http.emit('connection', socket);
    await sockets.send('got it');
  }
}

/** What a server answers. */
function ask(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, path, agent: false }, async (response) => {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      resolve(text);
    });
    request.once('error', reject);
  });
}

if (mp.isMain(import.meta)) {
  const workers = await Promise.all(
    ['Ada', 'Bo', 'Cy'].map(async (name) => {
      const [sockets, theirs] = mp.Pipe();
      const process = new mp.Process({ target: worker, args: [name, theirs] });
      await process.start();
      theirs.close();
      return { process, sockets };
    }),
  );

  // What the parent does not read is left for the child to read.
  let next = 0;
  const server = createServer({ pauseOnConnect: true }, async (socket) => {
    const { sockets } = workers[next++ % workers.length] as (typeof workers)[number];
    await sockets.send(socket);
    await sockets.recv(); // the child has its own fd now
    socket.destroy(); // not end(), which would end it for the child, too
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };

  for (let i = 1; i <= 6; i++) console.log(await ask(port, `/page/${i}`));

  server.close();
  for (const { sockets, process } of workers) {
    await sockets.send(null);
    await process.join();
    console.log(`${process.name} ended with ${process.exitcode}`);
  }
}
