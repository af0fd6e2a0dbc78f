/**
 * Two programs, by TCP: one holds a queue, the other connects to it with the same key. They could be on two machines.
 *
 *     npx tsx examples/manager_remote.ts
 *
 * The program starts a second one of itself, which serves until it is told to end.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import * as mp from 'multiprocessing';
import { BaseManager } from 'multiprocessing/managers';

/** Tasks for whoever connects. The server makes it, clients know its name. */
class Tasks {
  #items: string[] = ['wash', 'dry', 'fold'];
  #done: string[] = [];

  next(): string | undefined {
    return this.#items.shift();
  }
  done(task: string, by: string): void {
    this.#done.push(`${task} by ${by}`);
  }
  report(): string[] {
    return this.#done;
  }
}

const tasks = new Tasks();
/** Everybody who asks gets the same one. */
export const getTasks = () => tasks;

interface TasksProxy {
  next(): Promise<string | undefined>;
  done(task: string, by: string): Promise<void>;
  report(): Promise<string[]>;
}

class TaskManager extends BaseManager {
  declare getTasks: () => Promise<TasksProxy>;
}

async function serve(): Promise<void> {
  class Server extends BaseManager {}
  Server.register('getTasks', getTasks);
  const authkey = Buffer.from(process.env.KEY ?? '', 'hex');
  const server = new Server({ address: ['127.0.0.1', 0], authkey }).getServer();
  console.log((server.address as [string, number])[1]);
  process.once('SIGTERM', () => server.stop());
  await server.serveForever();
}

async function use(port: number, authkey: Buffer): Promise<void> {
  TaskManager.register('getTasks');
  const manager = await new TaskManager({ address: ['127.0.0.1', port], authkey }).connect();
  const list = await manager.getTasks();
  for (let task = await list.next(); task !== undefined; task = await list.next()) {
    await list.done(task, 'the other program');
  }
  console.log(await list.report());
  const stranger = new TaskManager({ address: ['127.0.0.1', port], authkey: Buffer.from('guess') });
  console.log(await stranger.connect().catch((error) => error.name));
}

if (mp.isMain(import.meta)) {
  if (process.argv[2] === 'serve') await serve();
  else {
    const key = randomBytes(32);
    const args = [...process.execArgv, fileURLToPath(import.meta.url), 'serve'];
    const server = spawn(process.execPath, args, {
      env: { ...process.env, KEY: key.toString('hex') },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [port] = await once(server.stdout, 'data');
    await use(Number(port), key);
    server.kill();
    const [code] = await once(server, 'exit');
    console.log('the server has ended:', code);
  }
}
