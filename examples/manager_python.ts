/**
 * A Node and a Python process work on one queue and one dict, which a manager of this program holds.
 *
 *     npx tsx examples/manager_python.ts
 *
 * Python's side is `multiprocessing.managers`, as it comes with Python. The serializer `'pickle'` is what it speaks.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import * as mp from 'multiprocessing';
import {
  BaseManager,
  DictProxy,
  LocalDict,
  LocalQueue,
  QueueProxy,
} from 'multiprocessing/managers';

const program = `
import os, sys
from multiprocessing.managers import BaseManager, DictProxy

class Manager(BaseManager): pass
Manager.register('getNumbers')
Manager.register('getResults', proxytype=DictProxy)

manager = Manager(address=sys.argv[1], authkey=bytes.fromhex(os.environ['KEY']))
manager.connect()
numbers, results = manager.getNumbers(), manager.getResults()
while (number := numbers.get()) is not None:
    results[number] = number ** 2
print('Python has', results)
`;

// Made in the manager's process, when that imports this module. Everybody who asks gets the same ones.
const numbers = new LocalQueue();
const results = new LocalDict();
export const getNumbers = () => numbers;
export const getResults = () => results;

class Manager extends BaseManager {
  declare getNumbers: () => Promise<QueueProxy<number | null>>;
  declare getResults: () => Promise<DictProxy<number, number>>;
}
Manager.register('getNumbers', getNumbers, { proxytype: QueueProxy });
Manager.register('getResults', getResults, { proxytype: DictProxy });

if (mp.isMain(import.meta)) {
  const authkey = randomBytes(32);
  // A Python up to 3.11 knows MD5 alone: who asks for it is not warned of it.
  const digests = ['sha256', 'md5'];
  const manager = await new Manager({ authkey, serializer: 'pickle', digests }).start();
  const python = spawn('python3', ['-c', program, String(manager.address)], {
    env: { ...process.env, KEY: authkey.toString('hex') },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const ended = once(python, 'exit').catch((error: Error) => {
    console.log(`There is no python3 here (${error.message}): nobody to work with.`);
  });
  const queue = await manager.getNumbers();
  for (const number of [2, 3, 12, null]) await queue.put(number);
  await ended;
  console.log('Node has  ', String(await manager.getResults()));
  await manager.shutdown();
}
