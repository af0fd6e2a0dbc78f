/** One cell of the table of hosts: a program, run by something under a start method, and what came of it in a word. */
import { dirname } from 'node:path';
import { supervise } from './supervise.ts';

/** How long a program may take, seconds. */
const LIMIT = 60;

/** The columns: what the programs find in their environment, and what they print if all is right. */
export const METHODS = {
  spawn: { title: '`spawn`', env: { METHOD: 'spawn' }, context: '<SpawnContext>' },
  forkserver: {
    title: '`forkserver`',
    env: { METHOD: 'forkserver' },
    context: '<ForkServerContext>',
  },
  emulated: {
    title: '`fork`, emulated',
    env: { METHOD: 'fork' },
    context: '<ForkContext emulated>',
  },
  real: {
    title: '`fork`, by `multiprocessing/forkable`',
    env: { METHOD: 'fork', REAL: 'true' },
    context: '<ForkContext>',
  },
} as const;
export type Method = keyof typeof METHODS;

/** Something that starts programs. */
export interface Row {
  readonly name: string;
  /** What is installed beside the library, by name: versions that were tried. */
  readonly packages?: Readonly<Record<string, string>>;
  /** The command; `node` is the node that is tried. */
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Other lines than those of app.mjs, behind the context's. */
  readonly lines?: (method: Method) => readonly string[];
  /** Cells that are not `works`. */
  readonly cells?: Readonly<Partial<Record<Method, string>>>;
}

/** What app.mjs prints behind its context. */
function linesOfApp(method: Method): readonly string[] {
  const isFork = method === 'emulated' || method === 'real';
  return ['own', 'helper', ...(isFork ? ['inline'] : [])];
}

/** @returns the cell's text, and all that was printed */
export async function runCell(
  project: string,
  row: Row,
  method: Method,
  node: string,
): Promise<{ text: string; output: string }> {
  const { env, context } = METHODS[method];
  const { code, stdout, stderr, left } = await supervise(
    project,
    row.command,
    { PATH: `${dirname(node)}:${process.env.PATH}`, ...row.env, ...env },
    LIMIT,
  );
  const output = `${stdout}${stderr}ended with ${code}, left: ${left}`;
  if (code === 124) return { text: '**hangs**', output };
  if (left !== '') return { text: `**leaves ${left}**`, output };
  const [first, ...others] = stdout.trimEnd().split('\n');
  const isRight = code === 0 && others.join() === (row.lines ?? linesOfApp)(method).join();
  if (isRight && first === context) {
    return { text: /ForkServerWarning/.test(stderr) ? 'works, spawned' : 'works', output };
  }
  if (isRight && first === METHODS.emulated.context) return { text: 'works, emulated', output };
  const reason = reasonIn(output);
  return { text: reason === undefined ? '**wrong**' : `no: ${reason}`, output };
}

/** What says why a program does not do what it should: the first of these that is found. */
const REASONS = [
  /code: ['"](ERR_MP_(?:BUNDLED|PERMISSION|PLATFORM))['"]/,
  /^(ForkServerUnavailableError|PicklingError)\b/m,
  /(MultiprocessingWarning): /,
  /code: ['"](ERR_\w+)['"]/,
];

function reasonIn(printed: string): string | undefined {
  for (const reason of REASONS) {
    const [, found] = reason.exec(printed) ?? [];
    if (found !== undefined) return `\`${found}\``;
  }
  return undefined;
}
