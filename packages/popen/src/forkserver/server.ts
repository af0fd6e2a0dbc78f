/**
 * The server of the forkserver method: `main` and `_serve_one` of multiprocessing/forkserver.py. A node started with
 * --single-threaded that imports what its children will need, sleeps in poll(2), and forks on request. Its fds
 * are 3: its end of the socketpair, 4: where it reports that it is ready.
 */
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import {
  beginBootstrapping,
  endImports,
  importing,
  lateRoom,
  loadModule,
  rememberModule,
  setInheritedFds,
  setMainPath,
  util,
  watchThreads,
} from '@multiprocessing/core';
import {
  becomeOwnProcess,
  calledByChildren,
  close,
  closeRaw,
  compile,
  describeThreads,
  dup,
  expectThreads,
  ForeignThreadsError,
  foreignThreads,
  fork,
  forkAvailable,
  hasPidfd,
  ignoreSignal,
  leaveCoverageToChildren,
  noSignalOnChange,
  now,
  OSError,
  pipe,
  receive,
  setImmediate,
  warnAtOnce,
  write,
  writeStderr,
} from '@multiprocessing/posix';
import { OwnedFds } from '../base/owned_fds.ts';
import { exitWithoutWork, reportAndExit } from '../spawn/forked.ts';
import { rehearse } from '../spawn/rehearsal.ts';
import { enterDirectory, importMainPath, runMain } from '../spawn/spawn.ts';
import { _emulatingServer, _forkserver, type ServerSettings } from './forkserver.ts';
import { type ChildRequest, receiveRequest } from './request.ts';
import { isPassing, rest, ServedChildren } from './served.ts';
import { type ChildFds, isSpawned, spawnServed } from './spawned.ts';
import { writeFailure, writeSigned } from './status.ts';

const SOCKET = 3;
const REPORT = 4;
const { SIGINT } = constants.signals;

/** What a forked child finds: its fds, as numbers of its own. */
interface Request {
  parentSentinel: number;
  data: number;
  inherited: number[];
}

/**
 * The program of the server.
 * @param argument ServerSettings, as JSON
 * @internal
 */
export function forkserverMain(argument = '{}', ...more: string[]): void {
  if (isSpawned([argument, ...more])) return;
  main(JSON.parse(argument) as ServerSettings).catch(reportAndExit);
}

async function main(settings: ServerSettings): Promise<void> {
  beginBootstrapping();
  leaveCoverageToChildren();
  becomeOwnProcess();
  process.argv = settings.argv;
  const reason = whyNotServable();
  if (reason !== undefined) {
    write(REPORT, reason);
    process.exit(1);
  }
  enterDirectory(settings.dir, settings.startDir);
  expectThreads();
  if (settings.onError !== 'fail') toldErrors('on');
  try {
    await preload(settings);
  } catch (error) {
    write(REPORT, inspect(error));
    process.exit(1);
  }
  util.forgetExitHandlers();
  util._closeStdin();
  ignoreSignal(SIGINT, true);
  watchThreads(); // here and not in each child, as all of these
  exitWithoutWork();
  await rehearse(settings.emulates).catch(() => {}); // children are slower then
  endImports();
  // What the imports have begun has its turn, and its errors are this process's and not those of each child. Node ends its
  // hooks for promises then, too, if nothing is left that needs them.
  setImmediate(begin, settings);
}

/** In a turn of the event loop and not in a microtask: the target of a child ends its turn in there. */
function begin(settings: ServerSettings): void {
  toldErrors('off');
  now(); // loads the clock, for all children
  write(REPORT, 'ready');
  close(REPORT);
  try {
    const { data, parentSentinel } = serve(settings);
    runMain(data, parentSentinel, 'turn');
  } catch (error) {
    reportAndExit(error);
  }
}

/** An import that fails does not end the server; no more does what it has begun. */
function toldErrors(change: 'on' | 'off'): void {
  process[change]('uncaughtException', tellError);
  process[change]('unhandledRejection', tellError);
}

function tellError(error: unknown): void {
  writeStderr(`forkserver: ${inspect(error)}\n`);
}

/** What would fail at the first request is told while another start method can be taken. */
function whyNotServable(): string | undefined {
  try {
    noSignalOnChange(REPORT); // from here on it learns by itself that nobody is left
  } catch (error) {
    return String(error); // it would be killed once the report is read
  }
  try {
    const { available, reason } = forkAvailable();
    if (!available) return reason;
    receive(SOCKET, 1, false);
    return undefined;
  } catch (error) {
    // EAGAIN: nobody has asked yet
    return isPassing(error) ? undefined : String(error);
  }
}

/** Imports the modules to be shared by all children. */
async function preload(settings: ServerSettings): Promise<void> {
  const { preload, onError, emulates, mainPath, mainRequired } = settings;
  setMainPath(mainPath, {
    required: mainRequired,
    emulated: emulates,
    guarded: settings.importsMain,
  });
  for (const name of preload) {
    try {
      if (name === '__main__') {
        // What the main module exports is what children are most likely to be told to call.
        const namespace = (await importMainPath(mainPath, mainRequired)) ?? {};
        for (const value of exportedBy(namespace, mainRequired)) compile(value);
      } else {
        const url = /^\.{0,2}\//.test(name) ? pathToFileURL(resolve(name)).href : name;
        rememberModule(url, await importing(() => loadModule(url)));
      }
    } catch (error) {
      if (onError === 'fail') throw error;
      if (onError === 'warn')
        writeStderr(`forkserver: cannot preload ${name}: ${inspect(error)}\n`);
    }
  }
}

/** The values of a module's exports; what CommonJS has as an accessor may want to be left alone. */
function exportedBy(namespace: object, required: boolean): unknown[] {
  if (!required) return Object.values(namespace);
  const { default: exported } = namespace as { default?: unknown };
  return Object.values(Object.getOwnPropertyDescriptors(Object(exported))).map(
    ({ value }) => value,
  );
}

/** Serves until the last client is gone. Returns only in a child. */
function serve(settings: ServerSettings): Request {
  const children = new ServedChildren();
  // A number that is free whenever a request comes: where there are not enough for all of its fds, one can still be told.
  let reserve = spare();
  for (;;) {
    if (!children.waitFor(SOCKET)) continue;
    if (reserve !== undefined) close(reserve);
    const asked = nextRequest();
    const request = asked && makeChild(settings, asked, children);
    if (request !== undefined) return request;
    reserve = spare();
  }
}

function spare(): number | undefined {
  try {
    return dup(SOCKET);
  } catch {
    return undefined;
  }
}

function nextRequest(): ChildRequest | undefined {
  try {
    return receiveRequest(SOCKET) ?? process.exit(0); // nobody is left who could ask
  } catch (error) {
    if (!isPassing(error)) {
      writeFailure(SOCKET, error); // the fds of who has asked are gone with the request
      throw error;
    }
    rest();
    return undefined;
  }
}

/** Forks once, or spawns. In the parent the child is noted, or why there is none is told; in the child the request is returned. */
function makeChild(
  settings: ServerSettings,
  { allowThreads, rooms, fds, lost }: ChildRequest,
  children: ServedChildren,
): Request | undefined {
  const [status = -1, client = -1, parentSentinel = -1, data = -1, ...inherited] = fds;
  const [, ...others] = fds;
  let life: [number, number] | undefined;
  let pid: number;
  try {
    if (lost !== undefined) throw lost;
    for (const room of rooms) lateRoom(room); // once, and not in each child
    if (!hasPidfd()) life = pipe();
    const served = { client, parentSentinel, data, inherited, life: life?.[1] };
    pid = forkOrSpawn(settings, served, allowThreads);
  } catch (error) {
    // What is no error of the kernel the client cannot be told: it reads the end of file.
    if (!(error instanceof OSError)) writeStderr(`forkserver: ${inspect(error)}\n`);
    writeFailure(status, error);
    for (const fd of [...fds, ...(life ?? [])]) close(fd);
    return undefined;
  }
  if (pid !== 0) {
    for (const fd of others) close(fd);
    if (life !== undefined) close(life[1]);
    children.add(pid, status, life?.[0]);
    writeSigned(status, pid);
    return undefined;
  }
  inChild(status, children, life);
  ignoreSignal(SIGINT, false);
  const server = settings.emulates ? _emulatingServer : _forkserver;
  server._socket = client;
  setInheritedFds(inherited);
  return { parentSentinel, data, inherited };
}

/** @returns the pid of the child, 0 in a forked one @throws OSError */
function forkOrSpawn(settings: ServerSettings, fds: ChildFds, allowThreads: boolean): number {
  try {
    return fork({ alone: !allowThreads });
  } catch (error) {
    if (!(error instanceof ForeignThreadsError)) throw error;
    tellWhySpawned();
    return spawnServed(settings, fds);
  }
}

let isTold = false;

function tellWhySpawned(): void {
  if (isTold) return;
  isTold = true;
  warnAtOnce(
    'ForkServerWarning',
    `an addon has threads in the forkserver, which no fork copies: ${describeThreads(foreignThreads())}.` +
      ' Its children are spawned, which takes longer. Use the addon in children only, not while modules are imported;' +
      ' or, if its threads bear a fork, set allowThreads of the context.',
  );
}

/** Closes what is the server's. */
function inChild(
  status: number,
  siblings: ServedChildren,
  life: [number, number] | undefined,
): void {
  closeRaw(SOCKET);
  closeRaw(status);
  siblings.closeInChild();
  if (life === undefined) return;
  closeRaw(life[0]);
  new OwnedFds().add(life[1]); // children that this one forks close it
}

calledByChildren(inChild, setInheritedFds, runMain, process.exit);
