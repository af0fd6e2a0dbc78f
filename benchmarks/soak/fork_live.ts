/**
 * Forks of a process that is busy: an HTTP server under load, timers, a heap that churns. Every child, with a
 * synchronous or an asynchronous target, ends with its own exit code; every request is answered by this process
 * and by no child; and this process holds no more at the end than after the first tenth.
 *
 *     tsx benchmarks/soak/fork_live.ts [COUNT = 2000]
 */
import 'multiprocessing/forkable';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Agent, createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import * as mp from 'multiprocessing';
import {
  check,
  checkFlat,
  childrenOf,
  countOr,
  describeProcess,
  done,
  holdingsOf,
  inParallel,
  limitTime,
  within,
} from './support.ts';

const CONNECTIONS = 4;

/** What the program that makes the load says at its end. */
interface Load {
  readonly answers: number;
}

function exitWith(code: number): never {
  const garbage = Array.from({ length: 1000 }, (_, i) => ({ i, text: `${i}` }));
  throw new mp.SystemExit(garbage.length === 1000 ? code : -1);
}

/** Uses the event loop, the thread pool and a timer of the child's own. */
async function exitWithLater(code: number): Promise<never> {
  await new Promise((resolve) => setImmediate(resolve));
  await sleep(1);
  const text = await readFile(import.meta.filename, 'utf8');
  throw new mp.SystemExit(text.length > 0 ? code : -1);
}

async function forkAndJoin(i: number): Promise<void> {
  const target = i % 2 === 0 ? exitWith : exitWithLater;
  const p = new (mp.getContext('fork').Process)({ target, args: [i % 256] });
  await within(30, `start ${i}`, p.start());
  await within(30, `join of ${target.name} ${i}, pid ${p.pid}`, p.join());
  check(p.exitcode === i % 256, `child ${i} (${target.name}) ended with exit code ${p.exitcode}`);
}

/** Keeps the process as busy as a program is. Returns how to stop it. */
function keepBusy(): () => void {
  const ring: unknown[] = [];
  let ticks = 0;
  const churn = setInterval(() => {
    ring[ticks++ % 50] = Array.from({ length: 2000 }, (_, i) => ({
      i,
      ticks,
      text: `${i} ${ticks}`,
    }));
  }, 2);
  const timers = Array.from({ length: 20 }, (_, i) => setInterval(() => ticks++, 5 + i));
  return () => {
    for (const timer of [churn, ...timers]) clearInterval(timer);
  };
}

/** Asks the server until stdin ends, on some connections that stay open. Any wrong answer is a failure. */
async function makeLoad(port: number, pid: string): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  let [answers, stopped] = [0, false];
  process.stdin.resume().once('end', () => {
    stopped = true;
  });
  const connection = async () => {
    while (!stopped) {
      const response = await new Promise<string>((resolve, reject) => {
        const request = get({ port, agent, host: '127.0.0.1', timeout: 20_000 }, (message) => {
          let text = '';
          message.on('data', (chunk) => {
            text += chunk;
          });
          message.once('end', () => resolve(text));
          message.once('error', reject);
        });
        request.once('error', reject);
        request.once('timeout', () => reject(new Error('no answer for 20 s')));
      });
      if (response !== pid) throw new Error(`answered by ${response} and not by ${pid}`);
      answers++;
      await sleep(1);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, connection));
  agent.destroy();
  process.stdout.write(JSON.stringify({ answers } satisfies Load));
}

async function startLoad(port: number): Promise<{ stop: () => Promise<Load> }> {
  const argv = [
    ...process.execArgv,
    import.meta.filename,
    'load',
    String(port),
    String(process.pid),
  ];
  const child: ChildProcess = spawn(process.execPath, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  child.stdout?.on('data', (chunk) => {
    output += chunk;
  });
  const ended = once(child, 'close');
  void ended.then(([code]) => check(code === 0, 'the load failed: see above'));
  const stop = async () => {
    child.stdin?.end();
    await within(30, 'the end of the load', ended);
    return JSON.parse(output) as Load;
  };
  return { stop };
}

async function main(): Promise<void> {
  const count = countOr(2000);
  limitTime(60 + count / 5);
  const others = new Set(childrenOf(process.pid)); // what tsx has started
  const server = createServer((_request, response) => response.end(String(process.pid)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stopBusy = keepBusy();
  const firstRequest = once(server, 'request');
  const load = await startLoad(port);
  await within(30, 'the first request', firstRequest);
  const warmUp = Math.ceil(count / 10);
  await inParallel(warmUp, 4, forkAndJoin);
  const before = holdingsOf(process.pid);
  await inParallel(count - warmUp, 4, forkAndJoin);
  const flat = checkFlat('parent', before, holdingsOf(process.pid));
  const { answers } = await load.stop();
  const answer = await (await fetch(`http://127.0.0.1:${port}/`)).text();
  check(answer === String(process.pid), `the server is answered for by ${answer}`);
  const left = childrenOf(process.pid)
    .filter((pid) => !others.has(pid))
    .map(describeProcess);
  check(left.length === 0, `children are left: ${left.join('; ')}`);
  stopBusy();
  server.close();
  server.closeAllConnections();
  done(`${count} forks; ${answers} requests answered meanwhile, all by the parent; ${flat}`);
}

if (mp.isMain(import.meta)) {
  if (process.argv[2] === 'load') await makeLoad(Number(process.argv[3]), process.argv[4] ?? '');
  else await main();
}
