/**
 * What is still to be done in a process that ends of an error. Node emits 'exit' first and prints the error afterwards, so who
 * waits for something in an 'exit' handler keeps it from being seen. After the print Node runs what native addons have
 * given to `node::AtExit`, and JavaScript still works there.
 */
import { inspect } from 'node:util';
import { calledByChildren, writtenByChildren } from '../ffi/compiled.ts';
import {
  callback,
  hasSymbol,
  isFfiLoaded,
  napiEnvironment,
  native,
  readPointer,
} from '../ffi/ffi.ts';
import { writeStderr } from './uncaught.ts';

// C++: v8::Isolate::GetCurrent, node::GetCurrentEnvironment, node::AtExit. A Local is the address of a handle.
const getIsolate = native('uintptr_t _ZN2v87Isolate10GetCurrentEv()');
const getEnvironment = native(
  'uintptr_t _ZN4node21GetCurrentEnvironmentEN2v85LocalINS0_7ContextEEE(uintptr_t context)',
);
const AT_EXIT = '_ZN4node6AtExitEPNS_11EnvironmentEPFvPvES2_';
const atExit = native(
  `void ${AT_EXIT}(uintptr_t environment, uintptr_t callback, uintptr_t argument)`,
);

const state = { dying: false };

function nobodyCatches(): boolean {
  return (
    process.listenerCount('uncaughtException') === 0 &&
    !process.hasUncaughtExceptionCaptureCallback()
  );
}

/** Notes from now on whether this process ends of an error. @internal */
export function watchForFatalErrors(): void {
  process.on('uncaughtExceptionMonitor', () => {
    state.dying = nobodyCatches();
  });
}

/**
 * In an 'exit' handler: has a function called as soon as Node has printed the error of which this process ends.
 * @returns false if it ends of none, or when that cannot be had: nothing will be called then
 * @internal
 */
export function afterFatalError(run: () => void): boolean {
  if (!state.dying || !nobodyCatches() || !isFfiLoaded()) return false;
  // A worker's error is printed by its parent, once the worker has ended.
  const { isMainThread } = process.getBuiltinModule('node:worker_threads');
  const environment = isMainThread ? nodeEnvironment() : undefined;
  if (environment === undefined) return false;
  const { pointer } = callback('void AtExit(uintptr_t argument)', () => {
    try {
      run();
    } catch (error) {
      writeStderr(`${inspect(error)}\n`);
    }
  });
  atExit(environment, pointer, 0);
  return true;
}

/** The address of the node::Environment; undefined in a Node that is not as we know it. */
function nodeEnvironment(): number | undefined {
  const napi = napiEnvironment();
  if (napi === undefined || !hasSymbol(AT_EXIT)) return undefined;
  // napi_env__: the table of its methods, the isolate, and a handle of the context that lives as long as itself.
  if (readPointer(napi + 8n) !== BigInt(getIsolate())) return undefined;
  return getEnvironment(readPointer(napi + 16n));
}

calledByChildren(afterFatalError, nobodyCatches);
writtenByChildren(state);
