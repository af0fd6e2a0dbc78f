/**
 * `multiprocessing trace [--json FILE] main.ts [args]`: runs a program and shows the life of its processes.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromeEvents, formatEvents, readEvents } from './cli_events.ts';
import { TRACE_FILE } from './tracing.ts';

const USAGE = `usage: multiprocessing trace [--json FILE] [node options] PROGRAM [arguments]

Runs PROGRAM (.ts programs by tsx, where Node does not run them itself) and prints the life of its
processes, one line an event: milliseconds, process, layer, event, what belongs to it.

  --json FILE   write Chrome trace events instead, which https://ui.perfetto.dev opens
`;

async function main(args: string[]): Promise<number> {
  const [command, ...rest] = args;
  if (command !== 'trace') {
    process.stderr.write(USAGE);
    return command === '--help' || command === '-h' ? 0 : 2;
  }
  let json: string | undefined;
  if (rest[0] === '--json') {
    json = rest[1];
    rest.splice(0, 2);
  }
  const program = rest.find((arg) => !arg.startsWith('-'));
  if (program === undefined || (json === undefined && args.includes('--json'))) {
    process.stderr.write(USAGE);
    return 2;
  }
  if (!existsSync(program)) {
    process.stderr.write(`multiprocessing trace: there is no file ${program}\n`);
    return 2;
  }
  const folder = mkdtempSync(join(tmpdir(), 'mp-trace-'));
  try {
    const file = join(folder, 'events');
    writeFileSync(file, '');
    const code = await run([...loaderFor(program), ...rest], file);
    const events = readEvents(file);
    if (json === undefined) process.stdout.write(formatEvents(events));
    else writeFileSync(json, JSON.stringify({ traceEvents: chromeEvents(events) }));
    return code;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs the program on our own streams. @returns its exit code, as a shell counts it */
function run(nodeArgs: string[], file: string): Promise<number> {
  const child = spawn(process.execPath, nodeArgs, {
    stdio: 'inherit',
    env: { ...process.env, [TRACE_FILE]: file },
  });
  // ^C is for the program; we still have its events to show.
  process.on('SIGINT', () => {});
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('exit', (code, signal) =>
      done(code ?? 128 + constants.signals[signal ?? 'SIGKILL']),
    );
  });
}

/** tsx for TypeScript, found from the program's folder; nothing where Node strips types itself. */
function loaderFor(program: string): string[] {
  if (!/\.[cm]?tsx?$/.test(program)) return [];
  try {
    const tsx = createRequire(pathToFileURL(resolve(program))).resolve('tsx');
    return ['--import', pathToFileURL(tsx).href];
  } catch {
    return [];
  }
}

process.exitCode = await main(process.argv.slice(2));
