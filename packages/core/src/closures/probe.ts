/**
 * What only a function that runs can tell: the `this` of an arrow function, and whether two functions have the very same
 * variable. A breakpoint stops a call at its first line. There the variables can be read and written; then the call is
 * terminated, so that nothing of the function's body has run.
 * Deviations: D-097.
 */
import type { Session } from 'node:inspector';
import type { AnyFunction } from '../base/names.ts';
import { locateFunction } from '../pickle/function_inspector.ts';
import { post, spareCoverage } from '../pickle/scripts.ts';
import type { FunctionSource } from './source.ts';

const key = Symbol.for('multiprocessing.probe');
const held = 'globalThis[Symbol.for("multiprocessing.probe")]';

interface Held {
  call: () => unknown;
  fn: AnyFunction;
  value?: unknown;
}

/** An argument that has whatever is asked of it, so that no default value is evaluated. @internal */
export const anything: unknown = new Proxy(() => {}, {
  get: (_target, property) => {
    if (property === Symbol.iterator) {
      let left = 100;
      return () => ({ next: () => ({ done: left-- === 0, value: anything }) });
    }
    if (property === Symbol.toPrimitive) return () => 0;
    return anything;
  },
  has: () => true,
});

type Evaluate = (expression: string) => void;

/**
 * Whether a call of the function can be stopped before anything of it has run: not that of a generator function, which
 * runs nothing, and not that of a class, whose fields come first.
 * @internal
 */
export function canStop({ isGenerator, isClass }: FunctionSource): boolean {
  return !isGenerator && !isClass;
}

/** The session whose debugger is on: to switch it on takes 30 ms, so it stays on until `endProbing`. */
let debugging: Session | undefined;

function debuggerSession(): Session {
  if (debugging === undefined) {
    const { Session } = process.getBuiltinModule('node:inspector');
    const session: Session = new Session();
    session.connect();
    post(session, 'Debugger.enable');
    debugging = session;
  }
  return debugging;
}

/** Switches the debugger off again, if something was probed. @internal */
export function endProbing(): void {
  const session = debugging;
  debugging = undefined;
  if (session === undefined) return;
  spareCoverage();
  session.post('Debugger.disable');
  session.disconnect();
}

/**
 * Sets a breakpoint wherever the function can stop, of which the first that it comes to counts: that of its call alone
 * may stand in a default value.
 */
function breakEverywhere(session: Session, objectId: string): string[] {
  const { internalProperties } = post(session, 'Runtime.getProperties', {
    objectId,
    ownProperties: true,
  }) as { internalProperties: { name: string; value: { value: object } }[] };
  const start = internalProperties.find(({ name }) => name === '[[FunctionLocation]]')?.value.value;
  const { locations } = post(session, 'Debugger.getPossibleBreakpoints', {
    start,
    restrictToFunction: true,
  }) as { locations: object[] };
  const onCall = post(session, 'Debugger.setBreakpointOnFunctionCall', { objectId });
  const set = locations.flatMap((location) => {
    try {
      return [post(session, 'Debugger.setBreakpoint', { location })];
    } catch {
      return []; // there is one already
    }
  });
  return [onCall, ...set].map((answer) => (answer as { breakpointId: string }).breakpointId);
}

/** Stops a call of the function. @param look evaluates expressions as if they stood in its first line */
function stopIn(
  fn: AnyFunction,
  source: FunctionSource,
  look: (evaluate: Evaluate, holder: Held) => void,
): void {
  const session = debuggerSession();
  const args = Array.from({ length: source.parameters }, () => anything);
  const call = () => Reflect.apply(fn, undefined, args) as unknown;
  const holder: Held = { call, fn };
  let failure: unknown = new Error('a function could not be looked into');
  const onPaused = ({ params }: { params: { callFrames: { callFrameId: string }[] } }) => {
    const { callFrameId } = params.callFrames[0] as { callFrameId: string };
    failure = undefined;
    try {
      look((expression) => {
        post(session, 'Debugger.evaluateOnCallFrame', { callFrameId, expression, silent: true });
      }, holder);
    } catch (error) {
      failure = error;
    } finally {
      session.post('Runtime.terminateExecution');
      session.post('Debugger.resume');
    }
  };
  Object.defineProperty(globalThis, key, { value: holder, configurable: true });
  session.once('Debugger.paused', onPaused as never);
  try {
    const { result } = post(session, 'Runtime.evaluate', { expression: `${held}.fn` }) as {
      result: { objectId: string };
    };
    const breakpoints = breakEverywhere(session, result.objectId);
    // It is terminated: that is its error.
    session.post('Runtime.evaluate', { expression: `${held}.call()`, silent: true });
    for (const breakpointId of breakpoints)
      post(session, 'Debugger.removeBreakpoint', { breakpointId });
  } finally {
    session.off('Debugger.paused', onPaused as never);
    Reflect.deleteProperty(globalThis, key);
  }
  if (failure !== undefined) throw failure;
}

/** The `this` of an arrow function. @internal */
export function thisOf(fn: AnyFunction, source: FunctionSource): unknown {
  let value: unknown;
  stopIn(fn, source, (evaluate, holder) => {
    evaluate(`${held}.value = this`);
    value = holder.value;
  });
  return value;
}

/** Whether a variable of the first function, which has to be one that can be stopped, is the second one's too. @internal */
export function isShared(
  first: AnyFunction,
  source: FunctionSource,
  second: AnyFunction,
  name: string,
): boolean {
  const mark = {};
  let shared = false;
  stopIn(first, source, (evaluate, holder) => {
    evaluate(`${held}.value = ${name}`);
    const { value } = holder;
    holder.value = mark;
    evaluate(`${name} = ${held}.value`);
    try {
      const scopes = locateFunction(second)?.variables ?? [];
      const scope = scopes.find((variables) => Object.hasOwn(variables, name));
      shared = (scope as Record<string, unknown> | undefined)?.[name] === mark;
    } finally {
      holder.value = value;
      evaluate(`${name} = ${held}.value`);
    }
  });
  return shared;
}
