/**
 * Pools of several libraries behind one face: `open(workers)` gives `run(name, argument)`, a promise of what a function of
 * tasks.cjs returns, and `end()`. Each is made as its own documentation says, with a fixed number of workers.
 */
import { fileURLToPath } from 'node:url';
import tasks from './tasks.cjs';

const file = (name) => fileURLToPath(new URL(name, import.meta.url));
const names = Object.keys(tasks);

async function ours(workers, options) {
  const { Pool } = await import('multiprocessing');
  const pool = Pool(workers, options);
  return {
    pool,
    run: (name, argument) => pool.apply(tasks[name], [argument]),
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
    end: () => pool.destroy(),
  };
};

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
};
