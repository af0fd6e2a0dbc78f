/** With @types/node, its types are those that the library takes and gives. */
import { createServer, Socket } from 'node:net';
import * as mp from 'multiprocessing';
import { wait } from 'multiprocessing/connection';
import { kill, urandom } from 'multiprocessing/os';

export const bytes: Buffer = mp.RawArray('c', 3).value;
export const hex: string = urandom(3).toString('hex');
export const signal: NodeJS.Signals = 'SIGTERM';
kill(process.pid, signal);
mp.setExecutable(new URL('file:///usr/bin/node'));
export const ready: (Socket | ReturnType<typeof createServer>)[] = await wait([
  new Socket(),
  createServer(),
]);
