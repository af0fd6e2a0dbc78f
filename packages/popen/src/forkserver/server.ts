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
  importModule,
  rememberModule,
  setInheritedFds,
  util,
  watchThreads,
} from '@multiprocessing/core';
import {
  calledByChildren,
  close,
  closeRaw,
  compile,
  fork,
  ignoreSignal,
  now,
  pidfdOpen,
  poll,
  recvmsg,
  setImmediate,
  waitpid,
  waitstatusToExitcode,
  write,
  writeStderr,
} from '@multiprocessing/posix';
import { exitWithoutWork, reportAndExit } from '../spawn/forked.ts';
import { _main, enterDirectory, importMainPath, leave, rehearse } from '../spawn/spawn.ts';
import { _emulatingServer, _forkserver, type ServerSettings } from './forkserver.ts';
import { writeSigned } from './status.ts';

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
export function forkserverMain(argument: string): void {
  main(JSON.parse(argument) as ServerSettings).catch(reportAndExit);
}

async function main(settings: ServerSettings): Promise<void> {
  beginBootstrapping();
  process.argv = settings.argv;
  enterDirectory(settings.dir, settings.startDir);
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
  await new Promise((resolve) => setImmediate(resolve));
  toldErrors('off');
  now(); // loads the clock, for all children
  write(REPORT, 'ready');
  close(REPORT);
  const request = serve(settings.emulates ? _emulatingServer : _forkserver);
  leave(await _main(request.data, request.parentSentinel));
}

/** An import that fails does not end the server; no more does what it has begun. */
function toldErrors(change: 'on' | 'off'): void {
  process[change]('uncaughtException', tellError);
  process[change]('unhandledRejection', tellError);
}

function tellError(error: unknown): void {
  writeStderr(`forkserver: ${inspect(error)}\n`);
}

/** Imports the modules to be shared by all children. */
async function preload({ preload, onError, mainPath }: ServerSettings): Promise<void> {
  for (const name of preload) {
    try {
      if (name === '__main__') {
        // What the main module exports is what children are most likely to be told to call.
        for (const value of Object.values((await importMainPath(mainPath)) ?? {})) compile(value);
      } else {
        const url = /^\.{0,2}\//.test(name) ? pathToFileURL(resolve(name)).href : name;
        rememberModule(url, await importing(() => importModule(url)));
      }
    } catch (error) {
      if (onError === 'fail') throw error;
      if (onError === 'warn')
        writeStderr(`forkserver: cannot preload ${name}: ${inspect(error)}\n`);
    }
  }
}

/** A child that runs: the fd that tells its end, and where its exit code goes. */
interface Served {
  pid: number;
  pidfd: number;
  status: number;
}

/** Serves until the last client is gone. Returns only in a child. */
function serve(server: typeof _forkserver): Request {
  const children = new Map<number, Served>();
  for (;;) {
    for (const fd of poll([SOCKET, ...children.keys()])) {
      const child = children.get(fd);
      if (child !== undefined) {
        children.delete(fd);
        reap(child);
        continue;
      }
      const { data, fds } = recvmsg(SOCKET, 64);
      if (data.length === 0) process.exit(0); // nobody is left who could ask
      const request = forkChild(server, fds, children);
      if (request !== undefined) return request;
    }
  }
}

function reap({ pid, pidfd, status }: Served): void {
  const [, waitStatus] = waitpid(pid, 0);
  writeSigned(status, waitstatusToExitcode(waitStatus));
  close(status);
  close(pidfd);
}

/** Forks once. In the parent the child is noted; in the child the request is returned. */
function forkChild(
  server: typeof _forkserver,
  fds: number[],
  children: Map<number, Served>,
): Request | undefined {
  const [client, parentSentinel, status, data, ...inherited] = fds as [
    number,
    number,
    number,
    number,
  ];
  let pid: number;
  try {
    pid = fork();
  } catch (error) {
    writeStderr(`forkserver: ${inspect(error)}\n`);
    for (const fd of fds) close(fd); // the client reads the end of file instead of a pid
    return undefined;
  }
  if (pid !== 0) {
    const pidfd = pidfdOpen(pid);
    children.set(pidfd, { pid, pidfd, status });
    writeSigned(status, pid);
    for (const fd of [client, parentSentinel, data, ...inherited]) close(fd);
    return undefined;
  }
  inChild(status, children);
  ignoreSignal(SIGINT, false);
  server._socket = client;
  setInheritedFds(inherited);
  return { parentSentinel, data, inherited };
}

/** Closes what is the server's. */
function inChild(status: number, siblings: Map<number, Served>): void {
  closeRaw(SOCKET);
  closeRaw(status);
  for (const sibling of siblings.values()) {
    closeRaw(sibling.pidfd);
    closeRaw(sibling.status);
  }
}

calledByChildren(inChild, setInheritedFds, _main, leave, process.exit);
