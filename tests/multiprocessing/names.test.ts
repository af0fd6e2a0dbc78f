/**
 * The public names. Counterparts of CPython's tests: docs/cpython-tests.md.
 */
import { readFileSync } from 'node:fs';
import * as mp from 'multiprocessing';
import { expect, test } from 'vitest';
import * as targets from '../fixtures/dist/targets.js';
import { runNode } from '../support/programs.ts';

/** The names of each Python module's `__all__` (of context.py: its classes). */
const modules: Record<string, string[]> = {
  process: ['BaseProcess', 'currentProcess', 'activeChildren', 'parentProcess'],
  util: [
    'subDebug debug info subWarning getLogger logToStderr getTempDir registerAfterFork isExiting',
    'Finalize ForkAwareThreadLock ForkAwareLocal closeAllFdsExcept SUBDEBUG SUBWARNING',
  ],
  reduction: ['sendHandle recvHandle ForkingPickler register dump DupFd sendfds recvfds'],
  connection: ['Client Listener Pipe wait'],
  synchronize: ['Lock RLock Semaphore BoundedSemaphore Condition Event Barrier'],
  context: [
    'BaseContext DefaultContext SpawnContext ForkContext ForkServerContext',
    'SpawnProcess ForkProcess ForkServerProcess Process',
    'ProcessError BufferTooShort TimeoutError AuthenticationError',
  ],
  shared_memory: ['SharedMemory ShareableList'],
  resource_sharer: ['stop DupFd DupSocket'],
  resource_tracker: ['ensureRunning register unregister getfd'],
  testing: ['expectNoLeftovers recordProcesses'],
  vitest_coverage: ['getProvider startCoverage takeCoverage stopCoverage'],
  os: [
    'fork forkAvailable pipe read write close dup waitpid waitstatusToExitcode WNOHANG _exit kill',
    'getpid getppid cpuCount urandom',
  ],
  heap: ['BufferWrapper Heap Arena'],
  sharedctypes: ['RawValue RawArray Value Array copy synchronized Struct'],
  queues: ['Queue SimpleQueue JoinableQueue Empty Full'],
  managers: [
    'BaseManager SyncManager SharedMemoryManager BaseProxy Token State Namespace Server RebuildProxy',
    'MakeProxyType AutoProxy RemoteError ListProxy DictProxy SetProxy ArrayProxy ValueProxy PoolProxy',
    'AcquirerProxy ConditionProxy EventProxy BarrierProxy NamespaceProxy IteratorProxy QueueProxy',
  ],
  pool: [
    'Pool ThreadPool AsyncResult ApplyResult MapResult IMapIterator IMapUnorderedIterator TimeoutError',
    'MaybeEncodingError RemoteTraceback WorkerLostError CancelledError BrokenExecutor BrokenProcessPool',
    'CurrentTask currentTask',
  ],
  futures: [
    'FIRST_COMPLETED FIRST_EXCEPTION ALL_COMPLETED CancelledError TimeoutError InvalidStateError',
    'BrokenExecutor BrokenProcessPool Future Executor wait waitSync asCompleted ProcessPoolExecutor',
    'ThreadPoolExecutor getReusableExecutor WorkerLostError',
  ],
  pickle: ['dumps loads DEFAULT_PROTOCOL HIGHEST_PROTOCOL Tuple'],
  forkable: [],
};

/** What is not there, and why. */
const absent: Record<string, string> = {
  'util.ForkAwareThreadLock': 'a process here has no locks between its threads to reset',
  'util.ForkAwareLocal': 'JavaScript has no thread-local variables: a module is one',
  'util.closeAllFdsExcept': 'posix_spawn closes what is not passed',
  'resource_sharer.DupSocket': 'Windows only',
  'reduction.dump': 'not exported',
  'pool.ThreadPool': 'comes with threads',
  'futures.ThreadPoolExecutor': 'comes with threads',
};

test('every sub-path holds the names its Python module promises', async () => {
  const manifest = new URL('../../packages/multiprocessing/package.json', import.meta.url);
  const { exports } = JSON.parse(readFileSync(manifest, 'utf8')) as { exports: object };
  const paths = Object.keys(exports).filter((path) => path !== '.' && !path.includes('*'));
  expect(paths.map((path) => path.slice(2)).sort()).toEqual(Object.keys(modules).sort());
  for (const [module, lines] of Object.entries(modules)) {
    const namespace = (await import(`multiprocessing/${module}`)) as object;
    for (const name of lines.flatMap((line) => line.split(' '))) {
      expect([module, name, name in namespace]).toEqual([
        module,
        name,
        !(`${module}.${name}` in absent),
      ]);
    }
  }
});

test('the package exports every public name of its Python model and no private one', () => {
  const python = [
    'Array AuthenticationError Barrier BoundedSemaphore BufferTooShort Condition Event JoinableQueue',
    'Lock Manager Pipe Pool Process ProcessError Queue RLock RawArray RawValue Semaphore SimpleQueue',
    'TimeoutError Value activeChildren allowConnectionPickling cpuCount currentProcess freezeSupport',
    'getAllStartMethods getContext getLogger getStartMethod logToStderr parentProcess reducer',
    'setExecutable setForkserverPreload setStartMethod',
  ].flatMap((line) => line.split(' '));
  expect(python).toHaveLength(37);
  const errors = [
    'AssertionError AuthenticationString BrokenBarrierError BrokenPipeError BufferError',
    'ChildProcessError EOFError NotImplementedError OSError PicklingError ProcessLookupError',
    'RuntimeError SystemExit UnpicklingError ValueError',
  ].flatMap((line) => line.split(' '));
  const contexts = [
    'BaseContext DefaultContext ForkContext ForkProcess ForkServerContext ForkServerProcess',
    'SpawnContext SpawnProcess',
  ].flatMap((line) => line.split(' '));
  const twins = ['ManagerSync'];
  expect(Object.keys(mp).sort()).toEqual(
    [...python, ...errors, ...contexts, ...twins, 'isMain'].sort(),
  );
  for (const name of Object.keys(mp)) expect(name).not.toMatch(/^_/);
});

test('the package can be imported when the path of the executable is unknown', async () => {
  const module = import.meta.resolve('multiprocessing');
  const target = new URL('../fixtures/dist/targets.js', import.meta.url).href;
  const { code, stdout, stderr } = await runNode([
    '--input-type=module',
    '-e',
    `const node = process.execPath;
     process.execPath = undefined;
     const mp = await import('${module}');
     const { empty } = await import('${target}');
     const ctx = mp.getContext('spawn');
     const p = new ctx.Process({ target: empty });
     await p.start().catch((error) => console.log(error.name, error.message));
     mp.setExecutable(node);
     await p.start();
     await p.join();
     console.log(p.exitcode);`,
  ]);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^RuntimeError .*setExecutable.*\n0\n$/);
});

test('the functions of the package work alone, and with new where Python has a factory', () => {
  const { currentProcess, getContext } = mp;
  expect(currentProcess()).toBe(mp.getContext('spawn').currentProcess());
  expect(getContext('spawn').constructor.name).toBe('SpawnContext');
  expect(mp.currentProcess.name).toBe('currentProcess');
  const { Lock } = mp;
  for (const lock of [Lock(), new Lock()]) expect(String(lock)).toBe('<Lock(owner=None)>');
  const ctx = mp.getContext('spawn') as unknown as { Semaphore: new (value: number) => unknown };
  expect(String(new ctx.Semaphore(3))).toBe('<Semaphore(value=3)>');
});

test('errors have the hierarchy, name and code of their kind', () => {
  const error = (cls: new (message: string) => Error) => new cls('text');
  for (const [cls, parent, code] of [
    [mp.ProcessError, Error, 'ERR_MP_PROCESS'],
    [mp.TimeoutError, mp.ProcessError, 'ERR_MP_TIMEOUT'],
    [mp.AuthenticationError, mp.ProcessError, 'ERR_MP_AUTHENTICATION'],
    [mp.ValueError, Error, 'ERR_MP_VALUE'],
    [mp.RuntimeError, Error, 'ERR_MP_RUNTIME'],
    [mp.NotImplementedError, mp.RuntimeError, 'ERR_MP_NOT_IMPLEMENTED'],
    [mp.BrokenBarrierError, mp.RuntimeError, 'ERR_MP_BROKEN_BARRIER'],
    [mp.AssertionError, Error, 'ERR_MP_ASSERTION'],
    [mp.EOFError, Error, 'ERR_MP_EOF'],
    [mp.PicklingError, Error, 'ERR_MP_PICKLING'],
    [mp.UnpicklingError, Error, 'ERR_MP_UNPICKLING'],
    [mp.BufferError, Error, 'ERR_MP_BUFFER'],
  ] as const) {
    const made = error(cls as new (message: string) => Error) as Error & { code: string };
    expect(made).toBeInstanceOf(parent);
    expect([made.name, made.code, made.message]).toEqual([cls.name, code, 'text']);
    expect(String(made)).toBe(`${cls.name}: text`);
  }
  const short = new mp.BufferTooShort(Buffer.from('whole'));
  expect(short).toBeInstanceOf(mp.ProcessError);
  expect(short.args).toEqual([Buffer.from('whole')]);
  expect(new mp.OSError(2, 'text', 'open')).toMatchObject({
    errno: 2,
    code: 'ENOENT',
    syscall: 'open',
    name: 'OSError',
  });
  for (const cls of [mp.BrokenPipeError, mp.ChildProcessError, mp.ProcessLookupError]) {
    expect(new cls(1, '')).toBeInstanceOf(mp.OSError);
  }
  expect(new mp.SystemExit(8).exitcode).toBe(8);
  expect(targets.describeError(new mp.SystemExit())).toMatchObject({ name: 'SystemExit' });
});
