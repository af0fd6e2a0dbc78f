/**
 * From V8's number of a script to its URL and its source, without harm to a coverage that somebody takes.
 *
 * The debugger knows both, but takes 12 ms to be switched on, and V8 throws away what it has counted of branches when it is switched off:
 * all that ran before would count as covered. What V8 knows of coverage at any time names the scripts, too, in 2 ms, and changes
 * nothing; the source is then that of the file, if what was loaded is what stands there. Only for the others (transpiled, evaluated,
 * long not run) is the debugger asked, and while coverage is taken it stays on.
 */
import { readFileSync } from 'node:fs';
import type { Session } from 'node:inspector';
import { fileURLToPath } from 'node:url';
import { describeInspectorDenied, isInspectorDenied } from '@multiprocessing/posix';
import { PicklingError } from '../base/errors.ts';
import { processWide } from '../base/state.ts';
import { coverageIsTaken } from '../process/test_runners.ts';

/** A script as V8 knows it. */
export interface Script {
  /** `file:`, `data:` or `node:` URL, a plain path, or something like `[eval]`. */
  readonly url: string;
  /** Whether it is an ES module. */
  readonly isModule: boolean;
}

/** A function of a script, by which is seen whether a file holds what was loaded. */
interface Witness {
  readonly text: string;
  readonly line: number;
  readonly column: number;
  /** Whether it sees the variables of an ES module. */
  readonly inModule: boolean;
}

/** A script as its coverage shows it. */
interface Seen {
  readonly url: string;
  /** Characters of its source; undefined where V8 does not know that its top level has run, as of a long one. */
  readonly length: number | undefined;
}

interface ScriptCoverage {
  scriptId: string;
  url: string;
  functions: { ranges: { startOffset: number; endOffset: number }[] }[];
}

const scripts = processWide('reduction.scripts', () => new Map<string, Script>());
/** The debugger that stays on, if one does. */
const kept = processWide('reduction.debugger', () => ({
  session: undefined as Session | undefined,
}));
const seen = new Map<string, Seen>();
const witnesses = new Map<string, Witness>();
/** Scripts whose source was taken from the file though it is not known how long it is. */
const guessed = new Set<string>();
/** Of these the ones of which the debugger is to be asked. */
const distrusted = new Set<string>();
/** Sources that are known already, until they are asked for. */
const sources = new Map<string, string>();

/** Asks V8's inspector; it answers at once, as it is in this thread. @throws Error with the inspector's own @internal */
export function post<R>(session: Session, method: string, params: object = {}): R {
  let failure: Error | null = null;
  let answer: unknown;
  session.post(method, params, (error: Error | null, result?: object) => {
    failure = error;
    answer = result;
  });
  if (failure !== null) throw new Error(`inspector: ${method} failed`, { cause: failure });
  return answer as R;
}

/** Which script that is. @param witness a function in it @internal */
export function findScript(id: string, witness: Witness): Script {
  if (!witnesses.has(id)) witnesses.set(id, witness);
  const known = scripts.get(id) ?? scriptByCoverage(id, witness);
  if (known !== undefined) return known;
  withDebugger((session) => {
    if (scripts.get(id)?.isModule === true) sources.set(id, readSource(session, id));
  });
  return scripts.get(id) ?? { url: '', isModule: false };
}

/** A script's source as it was loaded (after transpiling). @internal */
export function scriptSource(id: string): string {
  const source =
    sources.get(id) ?? sourceByCoverage(id) ?? withDebugger((session) => readSource(session, id));
  sources.delete(id);
  return source;
}

/**
 * For who has not found something in a source: whether a loader may have added it, so that the source is to be asked for again.
 * @internal
 */
export function distrustSource(id: string): boolean {
  if (!guessed.delete(id)) return false;
  distrusted.add(id);
  sources.delete(id);
  return true;
}

/** To be called before a debugger is switched off: while coverage is taken another one stays on. @internal */
export function spareCoverage(): void {
  if (kept.session !== undefined || !coverageIsTaken()) return;
  const session = openSession();
  listen(session);
  post(session, 'Debugger.enable');
  post(session, 'Debugger.setSkipAllPauses', { skip: true }); // it is nobody's who could go on
  kept.session = session;
}

/** @throws PicklingError where the permission model denies the inspector @internal */
export function newSession(): Session {
  if (isInspectorDenied()) throw new PicklingError(describeInspectorDenied());
  const { Session } = process.getBuiltinModule('node:inspector');
  return new Session();
}

function openSession(): Session {
  const session = newSession();
  session.connect();
  return session;
}

function scriptByCoverage(id: string, { inModule }: Witness): Script | undefined {
  const url = seenScript(id)?.url ?? '';
  if (!/^(node:|file:|\/)/.test(url)) return undefined;
  if (inModule) {
    // Its exports are read from its source; and the name that a script gives itself may be another's.
    const source = sourceByCoverage(id);
    if (source === undefined) return undefined;
    sources.set(id, source);
  }
  const script = { url, isModule: inModule };
  scripts.set(id, script);
  return script;
}

function seenScript(id: string): Seen | undefined {
  if (kept.session !== undefined) return undefined;
  if (!seen.has(id)) readCoverage();
  return seen.get(id);
}

function readCoverage(): void {
  const session = openSession();
  try {
    const { result } = post<{ result: ScriptCoverage[] }>(
      session,
      'Profiler.getBestEffortCoverage',
    );
    for (const { scriptId, url, functions } of result) {
      const range = functions[0]?.ranges[0];
      seen.set(scriptId, { url, length: range?.startOffset === 0 ? range.endOffset : undefined });
    }
  } finally {
    session.disconnect();
  }
}

/** What a script's file holds, if that is what was loaded. */
function sourceByCoverage(id: string): string | undefined {
  const { url, length } = seenScript(id) ?? {};
  const witness = witnesses.get(id);
  if (url === undefined || witness === undefined || distrusted.has(id)) return undefined;
  const source = readScript(url);
  if (source === undefined || !holds(source, witness)) return undefined;
  if (length === undefined) guessed.add(id);
  return length === undefined || length === source.length ? source : undefined;
}

/** The file of a script that Node itself does not change. */
function readScript(url: string): string | undefined {
  const [address = ''] = url.split(/[?#]/);
  if (!/\.[cm]?js$/.test(address)) return undefined;
  try {
    return readFileSync(address.startsWith('/') ? address : fileURLToPath(address), 'utf8');
  } catch {
    return undefined; // there is no such file any more
  }
}

/** Whether a function stands there. Its place is somewhere in its text: its parameters, the constructor of a class. */
function holds(source: string, { text, line, column }: Witness): boolean {
  let start = 0;
  for (let i = 0; i < line; i++) start = source.indexOf('\n', start) + 1;
  const place = start + column;
  const begin = source.lastIndexOf(text, place);
  return begin >= 0 && place < begin + text.length;
}

/** Runs a question with the debugger on; V8 then lists every script there is. */
function withDebugger<T>(ask: (session: Session) => T): T {
  spareCoverage();
  if (kept.session !== undefined) return ask(kept.session);
  const session = openSession();
  listen(session);
  try {
    session.post('Debugger.enable');
    return ask(session);
  } finally {
    session.post('Debugger.disable');
    session.disconnect();
  }
}

function listen(session: Session): void {
  session.on('Debugger.scriptParsed', ({ params }) => {
    const { scriptId, url, embedderName, isModule } = params as typeof params & {
      embedderName?: string;
    };
    // A `//# sourceURL` (Node writes one into stripped CommonJS TypeScript) hides the URL; the embedder's name does not.
    const real =
      embedderName !== undefined && /^(file|data|node):/.test(embedderName) ? embedderName : url;
    scripts.set(scriptId, { url: real, isModule: isModule === true });
  });
}

function readSource(session: Session, scriptId: string): string {
  let source = '';
  session.post(
    'Debugger.getScriptSource',
    { scriptId },
    (_error: Error | null, answer?: { scriptSource?: string }) => {
      source = answer?.scriptSource ?? '';
    },
  );
  return source;
}
