/**
 * What the import of a module has left going. Before Node 24 an AsyncLocalStorage in use costs every await of the process some
 * 70 ns, which no target shall pay: so it is watched whether anything marked is left that can still run, and when nothing is, the
 * storage ends.
 *
 * Left is a promise that somebody waits for (one without a parent runs nothing by itself), a timer, a request, a tick; those
 * end. Handles, as of sockets and signals, count as lasting.
 */
import { createHook, executionAsyncId } from 'node:async_hooks';

/** What calls back again and again. */
const HANDLE =
  /^(FSEVENT|PROCESS|PIPE|PIPESERVER|TCP|TCPSERVER|TTY|UDP|JSUDP|SIGNAL|TLS)WRAP$|^STATWATCHER$|^MESSAGEPORT$|^WORKER$/;
/** What never calls back by itself. */
const PASSIVE = /^(FILEHANDLE|DNSCHANNEL)$/;

/** A timer or immediate that has run for the last time says so. */
interface Resource {
  readonly _destroyed?: boolean;
  readonly fd?: number;
  hasRef?(): boolean;
}

/** @internal */
export class Leftovers {
  readonly #isMarked: () => boolean;
  readonly #end: () => void;
  /** By async id, what can still run. */
  readonly #pending = new Map<number, Resource>();
  #handles: { type: string; resource: Resource }[] = [];
  /** Whether the imports are over. */
  #watching = false;
  #calls = 0;
  readonly #hook = createHook({
    init: (id, type, trigger, resource) => this.#init(id, type, trigger, resource),
    after: (id) => this.#done(id),
    promiseResolve: (id) => this.#done(id),
  });

  /**
   * @param isMarked whether what runs now is of an import
   * @param end is called when nothing of it is left
   */
  constructor(isMarked: () => boolean, end: () => void) {
    this.#isMarked = isMarked;
    this.#end = end;
    this.#hook.enable();
  }

  /** Says that the imports are over: from now on it may end. Does nothing the second time. */
  watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    if (this.#handles.some(isLasting)) this.#giveUp();
    else this.#look();
    this.#handles = [];
  }

  #init(id: number, type: string, trigger: number, resource: object): void {
    if (PASSIVE.test(type) || !this.#isMarked()) return;
    if (HANDLE.test(type)) {
      if (this.#watching) this.#giveUp();
      else this.#handles.push({ type, resource });
    } else if (type !== 'PROMISE' || trigger !== executionAsyncId()) {
      this.#pending.set(id, type === 'PROMISE' ? {} : resource);
    }
  }

  #done(id: number): void {
    const resource = this.#pending.get(id);
    if (resource === undefined || resource._destroyed === false) return;
    this.#pending.delete(id);
    // Timers that were cleared say nothing: now and then they are looked for.
    if (this.#watching && (this.#pending.size < 16 || ++this.#calls % 1024 === 0)) this.#look();
  }

  #look(): void {
    for (const [id, { _destroyed }] of this.#pending) if (_destroyed) this.#pending.delete(id);
    if (this.#pending.size > 0) return;
    this.#hook.disable();
    this.#end();
  }

  /** There will always be something. */
  #giveUp(): void {
    this.#hook.disable();
    this.#pending.clear();
  }
}

/** A port that keeps nobody alive is a module loader's; what is closed has no fd, and 1 and 2 are printed to. */
function isLasting({ type, resource }: { type: string; resource: Resource }): boolean {
  if (type === 'MESSAGEPORT' || type === 'WORKER') return resource.hasRef?.() ?? true;
  const { fd } = resource;
  return fd === undefined || (fd >= 0 && fd !== 1 && fd !== 2);
}
