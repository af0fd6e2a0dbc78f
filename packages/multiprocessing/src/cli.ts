/**
 * The command `multiprocessing`. `multiprocessing trace main.ts` runs a program and shows the life of its processes.
 *
 *     cli_arguments.ts  what the arguments mean
 *     cli_events.ts     what is shown
 *     cli_manager.ts    `multiprocessing manager`
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { inspect } from 'node:util';
import type { TraceEvent } from '@multiprocessing/core';
import {
  Complaint,
  checkNodeOptions,
  fileOf,
  loaderFor,
  parseTraceArguments,
  reasonOf,
} from './cli_arguments.ts';
import { chromeEvents, formatEvents, readEvents } from './cli_events.ts';
import { MANAGER_HELP, manager } from './cli_manager.ts';
import { TRACE_FILE } from './tracing.ts';

const HELP = `usage: multiprocessing COMMAND

  trace PROGRAM   run a program and show the life of its processes
  manager         serve lists, dicts, queues and locks to several programs
  help [COMMAND]  show this help, or that of a command

  -h, --help      show this help
  -v, --version   show the version
`;

const TRACE_HELP = `usage: multiprocessing trace [--json FILE] [node options] [--] PROGRAM [arguments]

Runs PROGRAM (TypeScript by tsx if it is installed, else by Node itself where that can) and then prints the
life of its processes, one line an event: milliseconds, process, layer, event, what belongs to it.

  --json FILE     write Chrome trace events instead, which https://ui.perfetto.dev opens
  -h, --help      show this help
  -v, --version   show the version

The exit code is that of PROGRAM, 128 + n if signal n has ended it, and 2 if it could not be run.
`;

/** Runs a command. @returns the exit code */
async function main(args: string[]): Promise<number> {
  const [command, ...rest] = args;
  try {
    if (command === 'trace') return await trace(rest);
    if (command === 'manager') return await manager(rest, (text) => write(process.stdout, text));
    return await write(process.stdout, answerTo(command, rest));
  } catch (error) {
    if (!(error instanceof Complaint)) throw error;
    const isOne = command === 'trace' || command === 'manager';
    const name = isOne ? `multiprocessing ${command}` : 'multiprocessing';
    const help = error.seeHelp ? `; see \`${name} --help\`` : '';
    await write(process.stderr, `${name}: ${error.message}${help}\n`);
    return 2;
  }
}

/** What a command prints that runs nothing. @throws Complaint for one that is not there */
function answerTo(command: string | undefined, [topic]: readonly string[]): string {
  if (command === '--version' || command === '-v') return version();
  const helps = command === 'help' || command === '--help' || command === '-h';
  if (helps && topic === undefined) return HELP;
  if (helps && topic === 'trace') return TRACE_HELP;
  if (helps && topic === 'manager') return MANAGER_HELP;
  const unknown = helps ? topic : command;
  if (unknown === undefined) throw new Complaint('a command is missing', { seeHelp: true });
  const kind = unknown.startsWith('-') ? 'option' : 'command';
  throw new Complaint(`there is no ${kind} ${inspect(unknown)}`, { seeHelp: true });
}

function version(): string {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return `${(JSON.parse(manifest) as { version: string }).version}\n`;
}

/** `multiprocessing trace`. Nothing is run before all is known to be in order. @returns the exit code */
async function trace(args: string[]): Promise<number> {
  const { instead, json, nodeOptions, command } = parseTraceArguments(args);
  if (instead !== undefined) {
    return write(process.stdout, instead === 'help' ? TRACE_HELP : version());
  }
  checkNodeOptions(nodeOptions);
  const [program, ...rest] = command;
  if (!program) throw new Complaint('PROGRAM is missing', { seeHelp: true });
  const loader = loaderFor(fileOf(program), nodeOptions);
  const output = json === undefined ? undefined : openJson(json);
  // The whole path: one that begins with a dash would be an option.
  const { code, events } = await record([...loader, ...nodeOptions, resolve(program), ...rest]);
  try {
    if (output === undefined) await write(process.stdout, formatEvents(events));
    else writeJson(output, events);
    return code;
  } catch (error) {
    const where = json === undefined ? 'the trace' : inspect(json);
    const line = `multiprocessing trace: cannot write ${where}: ${reasonOf(error)}\n`;
    await write(process.stderr, line);
    return code === 0 ? 1 : code;
  }
}

/** Opens a file to be written later, and leaves what is in it until then. @throws Complaint if it cannot be written */
function openJson(json: string): number {
  try {
    return openSync(json, 'a', 0o600);
  } catch (error) {
    throw new Complaint(`cannot write ${inspect(json)}: ${reasonOf(error)}`);
  }
}

function writeJson(fd: number, events: readonly TraceEvent[]): void {
  try {
    if (fstatSync(fd, { bigint: true }).isFile()) ftruncateSync(fd);
    writeFileSync(fd, JSON.stringify({ traceEvents: chromeEvents(events) }));
  } finally {
    closeSync(fd);
  }
}

interface Recorded {
  /** The program's exit code, as a shell counts it. */
  readonly code: number;
  readonly events: readonly TraceEvent[];
}

/** Runs a program on our own streams, waits for it and takes its events. */
async function record(nodeArgs: readonly string[]): Promise<Recorded> {
  let child: ChildProcess | undefined;
  // The terminal sends these to the program as well; we still have its events to show.
  const ignore = () => {};
  // Those who send these to us mean the program.
  const pass = (signal: NodeJS.Signals) => child?.kill(signal);
  const handlers = { SIGINT: ignore, SIGQUIT: ignore, SIGTERM: pass, SIGHUP: pass };
  for (const [signal, handler] of Object.entries(handlers)) process.on(signal, handler);
  const folder = temporaryFolder();
  try {
    const file = join(folder, 'events');
    writeFileSync(file, '', { mode: 0o600 });
    child = spawn(process.execPath, nodeArgs, {
      stdio: 'inherit',
      env: { ...process.env, [TRACE_FILE]: file },
    });
    const code = await exitCodeOf(child);
    return { code, events: readEvents(file) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
    for (const [signal, handler] of Object.entries(handlers)) process.off(signal, handler);
  }
}

function temporaryFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), 'mp-trace-'));
  } catch (error) {
    throw new Complaint(`cannot write in ${inspect(tmpdir())}: ${reasonOf(error)}`);
  }
}

/** Waits for a child. @returns its exit code, as a shell counts it */
function exitCodeOf(child: ChildProcess): Promise<number> {
  return new Promise((done, fail) => {
    child.once('error', (error) => fail(new Complaint(`cannot run Node: ${reasonOf(error)}`)));
    child.once('exit', (code, signal) =>
      done(code ?? 128 + constants.signals[signal ?? 'SIGKILL']),
    );
  });
}

/** Writes all of a text and waits for it. A reader that is gone, as `head`, has seen enough. @returns 0, the exit code */
function write(stream: NodeJS.WriteStream, text: string): Promise<0> {
  return new Promise((done, fail) => {
    stream.on('error', () => {}); // the callback has it as well
    stream.write(text, (error: NodeJS.ErrnoException | null | undefined) => {
      const gone = error?.code === 'EPIPE' || (error?.code === 'EIO' && stream.isTTY);
      if (error && !gone) fail(error);
      else done(0);
    });
  });
}

process.exitCode = await main(process.argv.slice(2));
