/**
 * The seam to the foreign function interface: the only module that knows koffi, so that Node's own
 * `node:ffi` can take its place one day.
 *
 * koffi is loaded at the first call, not at import (9 ms on Node 20.20): a spawned child that needs
 * no kernel call of its own does not pay for it.
 *
 *     compiled.ts   functions that V8 makes ready before a fork
 *     constants.ts  numbers of the C headers
 *     errors.ts     OSError and its subclasses
 *     fstat.ts      what an fd is
 */
import { closeSync, openSync, realpathSync } from 'node:fs';
import type * as Koffi from 'koffi';
import { calledByChildren, writtenByChildren } from './compiled.ts';
import { byNode, osError } from './errors.ts';
import { isOpen } from './fstat.ts';

export type NativeFunction = (...args: unknown[]) => number;

let loaded: { koffi: typeof Koffi; libc: ReturnType<typeof Koffi.load> } | undefined;

function ffi() {
  if (loaded === undefined) {
    const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);
    // Node 22.23 fails to follow the link of a package right after an fstat of a pipe; koffi then looks
    // for its binary beside the link.
    ffiState.loading = true;
    const koffi = loadKoffi(() => require(realpathSync.native(require.resolve('koffi'))));
    ffiState.loading = false;
    loaded = { koffi, libc: koffi.load(null) };
    process.on('exit', openClosedOutput);
  }
  return loaded;
}

/** What glibc says when there is no memory for a library, or when its file system does not let programs be run. */
const NOT_MAPPED = /failed to map segment|cannot map zero-fill|cannot change memory protections/;
const ENOMEM = 12;

/** At the limit of open files koffi says that its binary is not there, and Node that a file is none of a module. @throws OSError */
function loadKoffi(load: () => typeof Koffi): typeof Koffi {
  try {
    return byNode(load);
  } catch (error) {
    ffiState.loading = false;
    if ((error as { code?: string }).code === 'ERR_DLOPEN_DISABLED') throw addonsDenied(error);
    byNode(() => closeSync(openSync('/dev/null', 'r')));
    const { message } = error as Error;
    if (NOT_MAPPED.test(message)) {
      throw osError(ENOMEM, 'mmap', `no memory, or a file system mounted noexec: ${message}`);
    }
    throw error;
  }
}

/** `--no-addons`, or the permission model without `--allow-addons`. */
function addonsDenied(cause: unknown): Error {
  const inspector = process.allowedNodeEnvironmentFlags.has('--allow-inspector')
    ? ' --allow-inspector'
    : '';
  const message =
    'multiprocessing calls the kernel by an addon (koffi), and this process may load none: ' +
    `start node without --no-addons; under its permission model with --allow-addons --allow-fs-read=*${inspector}`;
  return Object.assign(new Error(message, { cause }), { code: 'ERR_MP_PERMISSION' });
}

const ffiState = { loading: false, leavesByExit: false };

/**
 * Whether koffi is being loaded: it asks for all properties of node:util, one of which (diff, from Node 22 on) asks for
 * process.stderr. @internal
 */
export function isFfiLoading(): boolean {
  return ffiState.loading;
}

/** Whether koffi is there already. @internal */
export function isFfiLoaded(): boolean {
  return loaded !== undefined;
}

/** Says that this process, a forked child, leaves by _exit(2), before Node can end koffi. @internal */
export function leavesByExit(): void {
  ffiState.leavesByExit = true;
}

/** koffi 3.3 flushes stdout and stderr when Node ends it, and hangs when stderr is closed. */
function openClosedOutput(): void {
  if (ffiState.leavesByExit) return;
  for (const fd of [1, 2]) {
    try {
      while (!isOpen(fd)) openSync('/dev/null', 'r+');
    } catch {
      return; // no fd is left: then there is nothing that could be done
    }
  }
}

/**
 * Declares a C function of the running process (libc, libuv), resolved at its first call.
 * @param signature its C prototype, e.g. `'int kill(int pid, int sig)'`
 */
export function native(signature: string): NativeFunction {
  let resolved: NativeFunction | undefined;
  const resolve = () => {
    resolved ??= ffi().libc.func(signature) as NativeFunction;
    return resolved;
  };
  const call: NativeFunction = (...args) => (resolved ?? resolve())(...args);
  declared.push(resolve);
  resolvers.set(call, resolve);
  return call;
}

/** Declares a function that stands at an address. @param types C types of what it returns and takes */
export function nativeAt(address: number, result: string, types: string[]): NativeFunction {
  const { koffi } = ffi();
  const type = koffi.proto(result, types);
  return (...args) => koffi.call(BigInt(address), type, ...args) as number;
}

const declared: (() => unknown)[] = [];
const resolvers = new WeakMap<NativeFunction, () => NativeFunction>();

/** koffi's own function, for who cannot afford the first call of the one around it. */
export function direct(declaredByNative: NativeFunction): NativeFunction {
  return resolvers.get(declaredByNative)?.() ?? declaredByNative;
}

const dlsym = native('uintptr_t dlsym(uintptr_t handle, const char *symbol)');

/** Resolves all declared functions, so that forked children need not, each for itself. */
export function resolveNatives(): void {
  for (const resolve of declared.splice(0)) {
    try {
      resolve();
    } catch {
      // not there on this system; whoever calls it is told
    }
  }
}

/** Whether the process exports a C symbol of that name. */
export function hasSymbol(name: string): boolean {
  return symbolAddress(name) !== undefined;
}

/** The address of a symbol that the process exports. */
export function symbolAddress(name: string): bigint | undefined {
  const address = BigInt(dlsym(0, name));
  return address === 0n ? undefined : address;
}

/**
 * Declares a C function that returns -1 and sets errno when it fails. A call interrupted by a
 * signal is made again, as Python does since PEP 475.
 * @throws OSError when the call fails
 */
export function syscall(signature: string): NativeFunction {
  const call = native(signature);
  const name = /(\w+)\s*\(/.exec(signature)?.[1] ?? signature;
  return (...args) => {
    for (;;) {
      const result = call(...args);
      if (result !== -1) return result;
      const errno = ffi().koffi.errno();
      if (errno !== EINTR) throw osError(errno, name);
    }
  };
}

const EINTR = 4;

/** Declares a C function that is called in a thread of libuv's; errno is not told. */
export function nativeAsync(signature: string): (...args: unknown[]) => Promise<number> {
  const declaredFunction = native(signature);
  return (...args) => {
    const { async: call } = direct(declaredFunction) as unknown as {
      async: (...args: unknown[]) => void;
    };
    return new Promise((resolve, reject) => {
      call(...args, (error: unknown, result: number) => {
        if (error) reject(error as Error);
        else resolve(result);
      });
    });
  };
}

/** The errno of the last native call. */
export function errno(): number {
  return ffi().koffi.errno();
}

/** The address of a buffer's first byte; the buffer must stay referenced while it is used. */
export function addressOf(buffer: Uint8Array): bigint {
  return ffi().koffi.address(buffer);
}

/** An ArrayBuffer over memory that is not JavaScript's; the memory must outlive it. @param size bytes */
export function viewMemory(address: number, size: number): ArrayBuffer {
  return ffi().koffi.view(BigInt(address), size);
}

/** The address of koffi's napi_env; undefined in a koffi that does not tell it. */
export function napiEnvironment(): bigint | undefined {
  const { env } = ffi().koffi.node as unknown as { env?: bigint };
  return env;
}

/** Reads a pointer of this process's memory. */
export function readPointer(address: bigint): bigint {
  return BigInt(ffi().koffi.decode.uint64(address));
}

/** Reads an int of this process's memory. */
export function readInt(address: bigint): number {
  return ffi().koffi.decode.int32(address);
}

/** What a watch looks for. */
export interface PollEvents {
  readable?: boolean;
  writable?: boolean;
  disconnect?: boolean;
}

/** A watch on an fd in the event loop of the calling thread (libuv's uv_poll). */
export interface PollHandle {
  /** Looks for these events from now on. */
  start(events: PollEvents, callback: () => void): void;
  stop(): void;
  close(): void;
  ref(): void;
  unref(): void;
}

/**
 * Starts a uv_poll on an fd. The fd must be pollable and not yet watched by this loop: koffi aborts
 * the process otherwise (see loop/readiness.ts, which guarantees both).
 */
export function uvPoll(fd: number, events: PollEvents, callback: () => void): PollHandle {
  if (watches.open === undefined) return noWatch;
  if (!watches.stopAtExit) process.on('exit', stopWatches);
  watches.stopAtExit = true;
  const handle: PollHandle = ffi().koffi.node.poll(fd, events, callback);
  watches.open.add(handle);
  return handle;
}

/** Has a watch look for other events. */
export function startPoll(handle: PollHandle, events: PollEvents, callback: () => void): void {
  if (watches.open !== undefined) handle.start(events, callback);
}

/** Ends a watch for good. */
export function closePoll(handle: PollHandle): void {
  watches.open?.delete(handle);
  handle.stop();
  handle.close();
}

/** The watches that there are; undefined once the process ends. */
const watches = { open: new Set<PollHandle>() as Set<PollHandle> | undefined, stopAtExit: false };

/** Node turns its loop once more at its end, and koffi, when it calls back then, ends the process by SIGABRT. */
function stopWatches(): void {
  for (const handle of watches.open ?? []) handle.stop();
  watches.open = undefined;
}

const nothing = () => {};
/** For who waits in an 'exit' handler: nothing is called back any more. */
const noWatch: PollHandle = {
  start: nothing,
  stop: nothing,
  close: nothing,
  ref: nothing,
  unref: nothing,
};

/** koffi knows a prototype by its name: a forked child has its parent's already. */
const prototypes = new Map<string, Koffi.TypeObject>();

/**
 * Lets C call a JavaScript function while a native call is under way; valid until `free` is called.
 * @param signature the callback's C prototype, e.g. `'void Walk(void *handle, void *arg)'`
 */
export function callback(
  signature: string,
  fn: (...args: never[]) => void,
): { pointer: bigint; free(): void } {
  const { koffi } = ffi();
  const prototype = prototypes.get(signature) ?? koffi.proto(signature);
  prototypes.set(signature, prototype);
  const pointer = koffi.register(fn, koffi.pointer(prototype));
  return { pointer, free: () => koffi.unregister(pointer) };
}

calledByChildren(isFfiLoaded, leavesByExit, openClosedOutput);
writtenByChildren(ffiState);
