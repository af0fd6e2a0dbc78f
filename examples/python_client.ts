/**
 * A Node and a Python program that send objects to each other.
 *
 *     npx tsx examples/python_client.ts
 *
 * Node listens, Python connects with `multiprocessing.connection.Client`, and each proves to the other that it holds the
 * key. The codec `'pickle'` is what Python's `send()` and `recv()` speak.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import * as mp from 'multiprocessing';
import { type Connection, Listener } from 'multiprocessing/connection';
import { Tuple } from 'multiprocessing/pickle';

const program = `
import os, sys
from multiprocessing.connection import Client

with Client(sys.argv[1], authkey=bytes.fromhex(os.environ['KEY'])) as connection:
    connection.send({'from': 'Python', 'point': (1, 2.5), 'raw': b'bytes', 'ids': {7}, 'big': 2**64})
    question = connection.recv()
    connection.send(['repr', repr(question)])
    connection.send({number: number ** 2 for number in question['numbers']})
`;

async function talk(connection: Connection): Promise<void> {
  console.log('Python says', await connection.recv());
  await connection.send({
    numbers: [1, 2, 3],
    pair: Tuple.of('a tuple', null),
    big: 2n ** 70n,
    table: new Map<unknown, unknown>([[1, true]]),
    set: new Set(['x']),
    bytes: Buffer.from('Node'),
  });
  const [, repr] = (await connection.recv()) as [string, string];
  console.log('Python sees', repr);
  console.log('Python says', await connection.recv());
  console.log('The end:', await connection.recv().catch((error) => error.name));
}

if (mp.isMain(import.meta)) {
  const authkey = randomBytes(32);
  // A Python up to 3.11 knows MD5 alone: who asks for it is not warned of it.
  const digests = ['sha256', 'md5'];
  const listener = new Listener(undefined, { authkey, codec: 'pickle', digests });
  const child = spawn('python3', ['-c', program, String(listener.address)], {
    env: { ...process.env, KEY: authkey.toString('hex') },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  // Whoever waits for a client that cannot come gets an error.
  const ended = once(child, 'exit').finally(() => listener.close());
  try {
    const connection = await listener.accept();
    await talk(connection);
    connection.close();
    const [status] = await ended;
    process.exitCode = status;
  } catch (error) {
    const { path, message } = await ended.then(
      () => error as Error,
      (reason) => reason,
    );
    if (path !== 'python3') throw error;
    console.log(`There is no python3 here (${message}): nobody to talk to.`);
  }
}
