/**
 * Marks of what the import of a module has begun, for the Nodes before 24: an AsyncLocalStorage costs every await of a process
 * some 70 ns there, which no target shall pay. So these marks know whether anything marked is left that can still run, and end when
 * nothing is. It is what AsyncLocalStorage does there itself: a resource that is made in a marked one is marked.
 *
 * Left is a promise that somebody waits for (one without a parent runs nothing by itself), a timer, a request, a tick; those
 * end. Handles, as of sockets and signals, count as lasting.
 */
import {
  AsyncResource,
  createHook,
  executionAsyncId,
  executionAsyncResource,
} from 'node:async_hooks';

/** What calls back again and again. */
const HANDLE =
  /^(FSEVENT|PROCESS|PIPE|PIPESERVER|TCP|TCPSERVER|TTY|UDP|JSUDP|SIGNAL|TLS)WRAP$|^STATWATCHER$|^MESSAGEPORT$|^WORKER$/;
/** What never calls back by itself. */
const PASSIVE = /^(FILEHANDLE|DNSCHANNEL)$/;

interface Resource {
  /** Of timers and immediates: whether they have run for the last time, or were cleared. */
  readonly _destroyed?: boolean;
  readonly fd?: number;
  hasRef?(): boolean;
}

/** @internal */
export class HookMarks {
  #stage: 'off' | 'importing' | 'watching' | 'lasting' = 'off';
  readonly #marked = new WeakSet<object>();
  /** By async id, what can still run. */
  readonly #pending = new Map<number, Resource>();
  #handles: { type: string; resource: Resource }[] = [];
  #calls = 0;
  readonly #hook = createHook({
    init: (id, type, trigger, resource) => this.#init(id, type, trigger, resource),
    after: (id) => this.#done(id),
    promiseResolve: (id) => this.#done(id),
  });

  /** Calls a function that is marked, and so is all that it begins. */
  run<T>(load: () => T): T {
    if (this.#stage === 'off') {
      this.#stage = 'importing';
      this.#hook.enable();
    }
    const scope = new AsyncResource('multiprocessing.import', { requireManualDestroy: true });
    this.#marked.add(scope);
    return scope.runInAsyncScope(load);
  }

  /** Whether what runs now is marked. */
  isMarked(): boolean {
    return this.#stage !== 'off' && this.#marked.has(executionAsyncResource());
  }

  /** Says that the imports are over: from now on the marks may end. */
  watch(): void {
    if (this.#stage !== 'importing') return;
    this.#stage = 'watching';
    if (this.#handles.some(isLasting)) this.#last();
    else if (this.#isOver()) this.#hook.disable();
    this.#handles = [];
  }

  #init(id: number, type: string, trigger: number, resource: object): void {
    if (!this.#marked.has(executionAsyncResource())) return;
    this.#marked.add(resource);
    if (this.#stage === 'lasting') return;
    if (type === 'PROMISE') {
      if (trigger !== executionAsyncId()) this.#pending.set(id, resource);
    } else if (HANDLE.test(type)) {
      if (this.#stage === 'watching') this.#last();
      else this.#handles.push({ type, resource });
    } else if (!PASSIVE.test(type)) {
      this.#pending.set(id, resource);
    }
  }

  #done(id: number): void {
    const resource = this.#pending.get(id);
    if (resource === undefined || resource._destroyed === false) return;
    this.#pending.delete(id);
    // Timers that were cleared say nothing: now and then they are looked for.
    if (this.#stage !== 'watching') return;
    if (this.#pending.size >= 16 && ++this.#calls % 1024 !== 0) return;
    // Not from here: Node goes on with its hooks for promises after a hook that was disabled while it ran.
    if (this.#isOver())
      void Promise.resolve().then(() => this.#stage === 'off' && this.#hook.disable());
  }

  #isOver(): boolean {
    for (const [id, { _destroyed }] of this.#pending) if (_destroyed) this.#pending.delete(id);
    if (this.#pending.size > 0) return false;
    this.#stage = 'off';
    return true;
  }

  /** There will always be something. */
  #last(): void {
    this.#stage = 'lasting';
    this.#pending.clear();
  }
}

/** A port that keeps nobody alive is a module loader's; what is closed has no fd, and 1 and 2 are printed to. */
function isLasting({ type, resource }: { type: string; resource: Resource }): boolean {
  if (type === 'MESSAGEPORT' || type === 'WORKER') return resource.hasRef?.() ?? true;
  const { fd } = resource;
  return fd === undefined || (fd >= 0 && fd !== 1 && fd !== 2);
}
