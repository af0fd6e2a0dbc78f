/**
 * `multiprocessing/vitest_coverage`: a coverage provider for vitest 4 and 5 that counts what children run, too. No counterpart in
 * CPython.
 *
 * vitest counts by the inspector in its workers. What it lacks is the other processes: a spawned child and one of a forkserver write a
 * file of coverage each, since the worker's environment has NODE_V8_COVERAGE as soon as its tests begin (the worker itself has not: Node
 * reads it at a process's start). A forked child runs on with the worker's modules, as vitest has transformed them, and counts them in
 * a session of its own. When the tests of a file have run, its worker collects all files of its children.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Profiler, Session } from 'node:inspector';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { RuntimeError } from '@multiprocessing/core';
import { importModule } from '@multiprocessing/core/base/bundle';
import { atFork, savedBeforeLeaving } from '@multiprocessing/posix';
import { carryOver, type ScriptOfChild, type Transformed } from './vitest_counts.ts';

type Script = Profiler.ScriptCoverage & { startOffset?: number };

interface Taken {
  result: Script[];
  children?: ScriptOfChild[];
}

/** What vitest knows of a module that it has evaluated. */
interface TakeOptions {
  moduleExecutionInfo?: Map<string, { startOffset: number }>;
}

/** The parts of vitest's own provider that are used here. */
interface V8Module {
  startCoverage(options: object): Promise<void>;
  /** The path of a file with it in vitest 5. */
  takeCoverage(options?: TakeOptions): Promise<Taken | string>;
  stopCoverage(options: object): Promise<void>;
  getProvider(): Promise<V8Provider>;
}

interface V8Provider {
  readonly version: string;
  readonly options: { provider: string };
  readonly coverageFilesDirectory: string;
  initialize(vitest: object): void;
  isIncluded(path: string): boolean;
  transformFile(path: string, project: object, environment: string): Promise<Transformed | null>;
  readCoverageFiles(reading: Reading): Promise<void>;
}

interface Reading {
  onFileRead(coverage: Taken): void;
  onFinished(project: object, environment: string): Promise<void>;
}

/** Where the files of children go: told to the workers, and by its name not passed on to their children. */
const DIRECTORY = 'VITEST_CHILDREN_COVERAGE';
const FORKED = 'forked-';

let loading: Promise<V8Module> | undefined;

function vitestsOwn(): Promise<V8Module> {
  loading ??= load();
  return loading;
}

async function load(): Promise<V8Module> {
  const name = '@vitest/coverage-v8';
  const { createRequire } = process.getBuiltinModule('node:module'); // late: children have this module, too
  const path = [join(process.cwd(), 'package.json'), import.meta.filename]
    .map((from) => {
      try {
        return createRequire(from).resolve(name);
      } catch {
        return undefined;
      }
    })
    .find((found) => found !== undefined);
  if (path === undefined) {
    throw new RuntimeError(
      `multiprocessing/vitest_coverage needs ${name}: install it, in the version of vitest`,
    );
  }
  return ((await importModule(pathToFileURL(path).href)) as { default: V8Module }).default;
}

//
// In vitest's workers
//

/** Begins to count, in a worker of vitest and in its children. */
export async function startCoverage(options: object): Promise<void> {
  // vitest 5 has a way of its own, which would count children twice.
  await (await vitestsOwn()).startCoverage({ ...options, autoAttachSubprocess: false });
  const directory = process.env[DIRECTORY];
  if (directory === undefined) return;
  const { threadId } = process.getBuiltinModule('node:worker_threads');
  const own = join(directory, `${process.pid}-${threadId}`);
  if (process.env.NODE_V8_COVERAGE === own) return;
  process.env.NODE_V8_COVERAGE = own;
  atFork(countFromHere);
  savedBeforeLeaving(() => saveForked(own));
}

let session: Session | undefined;

/** Has a forked child count by a session of its own, from 0. */
function countFromHere(): void {
  const { Session } = process.getBuiltinModule('node:inspector');
  session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  session.post('Profiler.takePreciseCoverage'); // what the parent has run
}

function saveForked(directory: string): void {
  session?.post('Profiler.takePreciseCoverage', (error, coverage) => {
    if (error !== null) return;
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `${FORKED}${process.pid}.json`), JSON.stringify(coverage));
  });
}

/** Gives what has been counted since the last call, here and in children that have ended. */
export async function takeCoverage(options?: TakeOptions): Promise<object | string> {
  const taken = await (await vitestsOwn()).takeCoverage(options);
  if (typeof taken !== 'string') return withFilesOfChildren(taken, options);
  const own = JSON.parse(readFileSync(taken, 'utf8')) as Taken;
  writeFileSync(taken, JSON.stringify(withFilesOfChildren(own, options)));
  return taken;
}

function withFilesOfChildren({ result: own }: Taken, options?: TakeOptions): Taken {
  const forked: Script[] = [];
  const children: ScriptOfChild[] = [];
  for (const [name, { result, 'source-map-cache': maps = {} }] of filesOfChildren()) {
    for (const script of result.filter(({ url }) => isOwn(url))) {
      if (!name.startsWith(FORKED)) children.push({ ...script, map: maps[script.url] });
      else forked.push({ ...script, startOffset: startOf(script.url, options) });
    }
  }
  return { result: [...own, ...forked], children };
}

interface CoverageFile {
  result: Script[];
  'source-map-cache'?: Record<string, ScriptOfChild['map']>;
}

/** The files of children, which are removed. */
function* filesOfChildren(): Generator<[name: string, CoverageFile]> {
  const directory = process.env.NODE_V8_COVERAGE;
  if (directory === undefined || process.env[DIRECTORY] === undefined) return;
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    let coverage: CoverageFile;
    try {
      coverage = JSON.parse(readFileSync(path, 'utf8')) as CoverageFile;
    } catch {
      continue; // of a child that is writing it
    }
    rmSync(path);
    yield [name, coverage];
  }
}

/** As vitest has it of its own. */
const isOwn = (url: string) => url.startsWith('file://') && !url.includes('/node_modules/');

/** What vitest has put before a module's code. */
function startOf(url: string, options: TakeOptions | undefined): number {
  return options?.moduleExecutionInfo?.get(fileURLToPath(url))?.startOffset ?? 0;
}

/** Counts no more, in a worker of vitest. */
export async function stopCoverage(options: object): Promise<void> {
  await (await vitestsOwn()).stopCoverage(options);
}

//
// In vitest's main process
//

/**
 * Makes the provider: vitest's own for V8, with what children have run.
 * @throws RuntimeError where @vitest/coverage-v8 is not installed, or is older than 4
 */
export async function getProvider(): Promise<object> {
  const provider = await (await vitestsOwn()).getProvider();
  if (Number.parseInt(provider.version, 10) < 4) {
    throw new RuntimeError(
      `multiprocessing/vitest_coverage needs vitest 4 or newer, and @vitest/coverage-v8 is ${provider.version}`,
    );
  }
  return new (withChildren(provider.constructor as new () => V8Provider))();
}

function withChildren(Base: new () => V8Provider): new () => V8Provider {
  return class extends Base {
    override initialize(vitest: object): void {
      super.initialize(vitest);
      this.options.provider = 'custom'; // by that its workers load this module
      process.env[DIRECTORY] = join(this.coverageFilesDirectory, 'children'); // it goes with vitest's own
    }

    override async readCoverageFiles(reading: Reading): Promise<void> {
      let children: ScriptOfChild[] = [];
      await super.readCoverageFiles({
        ...reading,
        onFileRead: (coverage) => {
          reading.onFileRead(coverage);
          children.push(...(coverage.children ?? []));
        },
        onFinished: async (project, environment) => {
          await reading.onFinished(project, environment);
          const included = children.filter(({ url }) => this.isIncluded(fileURLToPath(url)));
          children = [];
          const result = await carryOver(included, (path) =>
            this.transformFile(path, project, environment),
          );
          if (result.length === 0) return;
          reading.onFileRead({ result });
          await reading.onFinished(project, environment);
        },
      });
    }
  };
}

export default { getProvider, startCoverage, takeCoverage, stopCoverage };
