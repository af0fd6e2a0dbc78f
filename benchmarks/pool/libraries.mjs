/**
 * Pools of several libraries behind one face: `open(workers)` gives `run(name, argument)`, a promise of what a function of
 * tasks.cjs returns, and `end()`. Each is made as its own documentation says, with a fixed number of workers. Where a task can
 * be stopped, `begin(name, argument)` gives its promise and what stops it.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { functions } from './functions.cjs';
import tasks from './tasks.cjs';

const file = (name) => fileURLToPath(new URL(name, import.meta.url));
const names = Object.keys(functions);

/** Where a signal stops a task. */
function abortable(start) {
  const controller = new AbortController();
  return { promise: start(controller.signal), stop: (reason) => controller.abort(reason) };
}

async function ours(workers, options) {
  const { Pool } = await import('multiprocessing');
  const pool = Pool(workers, options);
  return {
    pool,
    run: (name, argument) => pool.apply(tasks[name], [argument]),
    begin: (name, argument) =>
      abortable((signal) => pool.apply(tasks[name], [argument], {}, { signal })),
    async end() {
      pool.terminate();
      await pool.join();
    },
  };
}

async function executor(workers) {
  const { ProcessPoolExecutor } = await import('multiprocessing/futures');
  const pool = new ProcessPoolExecutor({ maxWorkers: workers });
  return {
    pool,
    run: (name, argument) => pool.submit(tasks[name], argument).result(),
    end: () => pool.shutdown(),
  };
}

async function piscina(workers, options = {}) {
  const { Piscina } = await import('piscina');
  const pool = new Piscina({
    filename: file('tasks.cjs'),
    minThreads: workers,
    maxThreads: workers,
    ...options,
  });
  return {
    pool,
    run: (name, argument) => pool.run(argument, { name }),
    begin: (name, argument) => abortable((signal) => pool.run(argument, { name, signal })),
    move: (name, argument) => pool.run(Piscina.move(argument), { name }),
    end: () => pool.destroy(),
  };
}

const tinypool = (runtime) => async (workers) => {
  const { Tinypool } = await import('tinypool');
  const pool = new Tinypool({
    runtime,
    filename: file('tasks.cjs'),
    minThreads: workers,
    maxThreads: workers,
    // Its channel is JSON without, which has no typed arrays.
    serialization: 'advanced',
  });
  return {
    pool,
    run: (name, argument) => pool.run(argument, { name }),
    begin: (name, argument) => abortable((signal) => pool.run(argument, { name, signal })),
    end: () => pool.destroy(),
  };
};

const workerpool = (workerType) => async (workers) => {
  const { default: library } = await import('workerpool');
  const pool = library.pool(file('tasks_workerpool.cjs'), {
    workerType,
    minWorkers: workers,
    maxWorkers: workers,
    ...(workerType === 'process' && { forkOpts: { serialization: 'advanced' } }),
  });
  return {
    pool,
    run: (name, argument) => pool.exec(name, [argument]),
    begin(name, argument) {
      const promise = pool.exec(name, [argument]);
      return { promise, stop: () => promise.cancel() };
    },
    end: () => pool.terminate(),
  };
};

const jestWorker = (enableWorkerThreads) => async (workers) => {
  const { Worker } = await import('jest-worker');
  const pool = new Worker(file('tasks.cjs'), {
    numWorkers: workers,
    exposedMethods: names,
    enableWorkerThreads,
  });
  return {
    pool,
    run: (name, argument) => pool[name](argument),
    end: () => pool.end(),
  };
};

const poolifier = (kind) => async (workers) => {
  const { FixedClusterPool, FixedThreadPool } = await import('poolifier');
  const pool =
    kind === 'thread'
      ? new FixedThreadPool(workers, file('tasks_poolifier_thread.cjs'))
      : new FixedClusterPool(workers, file('tasks_poolifier_cluster.cjs'), {
          settings: { serialization: 'advanced' },
        });
  return {
    pool,
    run: (name, argument) => pool.execute(argument, name),
    begin: (name, argument) => abortable((signal) => pool.execute(argument, name, signal)),
    end: () => pool.destroy(),
  };
};

/** One thread. */
async function comlink() {
  const { wrap } = await import('comlink');
  const { default: nodeEndpoint } = await import('comlink/dist/umd/node-adapter.js');
  const { Worker } = await import('node:worker_threads');
  const worker = new Worker(file('tasks_comlink.cjs'));
  const proxy = wrap(nodeEndpoint(worker));
  return {
    pool: worker,
    run: (name, argument) => proxy[name](argument),
    end: () => worker.terminate(),
  };
}

/** One thread, which its caller waits for. A timeout is all that stops it. */
async function synckit() {
  const { createSyncFn } = await import('synckit');
  const call = createSyncFn(file('tasks_synckit.cjs'), { timeout: 2000 });
  const run = async (name, argument) => call(name, argument);
  return {
    pool: {},
    run,
    begin: (name, argument) => ({ promise: run(name, argument), stop() {} }),
    async end() {},
  };
}

/** Processes, and a Redis server of its own, which listens at a socket in its folder alone. */
async function bullmq(workers) {
  const folder = mkdtempSync(join(tmpdir(), 'multiprocessing-redis-'));
  const path = join(folder, 'socket');
  const options = ['--port', '0', '--unixsocket', path, '--save', '', '--dir', folder];
  const redis = spawn('redis-server', options, { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: redis.stdout }))
    if (/ready to accept connections/i.test(line)) break;
  redis.stdout.resume();
  const { Queue, QueueEvents, Worker } = await import('bullmq');
  const connection = { path, maxRetriesPerRequest: null };
  const queue = new Queue('tasks', { connection });
  const events = new QueueEvents('tasks', { connection });
  const worker = new Worker('tasks', file('tasks_bullmq.cjs'), {
    connection,
    concurrency: workers,
  });
  await Promise.all([events.waitUntilReady(), worker.waitUntilReady()]);
  return {
    pool: worker,
    async run(name, argument) {
      const job = await queue.add(name, { argument });
      return job.waitUntilFinished(events);
    },
    async end() {
      await Promise.all([worker.close(true), events.close(), queue.close()]);
      redis.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export const libraries = {
  pool: ours,
  executor,
  piscina,
  'tinypool, threads': tinypool('worker_threads'),
  'tinypool, processes': tinypool('child_process'),
  'workerpool, threads': workerpool('thread'),
  'workerpool, processes': workerpool('process'),
  'jest-worker, threads': jestWorker(true),
  'jest-worker, processes': jestWorker(false),
  'poolifier, threads': poolifier('thread'),
  'poolifier, processes': poolifier('cluster'),
  comlink,
  synckit,
  bullmq,
};
