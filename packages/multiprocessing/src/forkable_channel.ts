/**
 * The channel of a program that was started by child_process.fork(), from which the program goes on to read after
 * it has started itself again (forkable.ts).
 */
import { closeSync, readFileSync } from 'node:fs';
import { memfdCreate, nextTick, setCloexec, writeAt } from '@multiprocessing/posix';

interface Channel {
  readonly fd?: number;
  /** What Node keeps of messages until somebody listens: the event, the message, a socket or server that came with it. */
  [pending: symbol]: [event: string, message: unknown, handle: unknown][];
}

function channel(): Channel | undefined {
  return process.channel as unknown as Channel | undefined;
}

/**
 * Leaves the channel open for the new program, and says in its environment where it is; of a channel that is closed,
 * nothing.
 */
export function keepChannel(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const fd = channel()?.fd;
  const { NODE_CHANNEL_FD, NODE_CHANNEL_SERIALIZATION_MODE, ...others } = env;
  if (fd === undefined || fd < 0) return others;
  setCloexec(fd, false);
  return { ...env, NODE_CHANNEL_FD: String(fd) };
}

/**
 * The messages that Node has read already: an fd for the new program, undefined where there are none. Sockets and servers
 * that came along are lost.
 */
export function pendingMessages(): number | undefined {
  const found = channel();
  if (found === undefined) return undefined;
  const symbols = Object.getOwnPropertySymbols(found);
  const key = symbols.find(({ description }) => description === 'kPendingMessages');
  const messages = (key && found[key])?.map(([, message]) => message) ?? [];
  if (messages.length === 0) return undefined;
  const { serialize } = process.getBuiltinModule('node:v8');
  const fd = memfdCreate('multiprocessing');
  writeAt(fd, serialize(messages), 0);
  setCloexec(fd, false);
  return fd;
}

/** Has the first who listens get them, before those that have come since. */
export function deliverMessages(fd: number): void {
  const { deserialize } = process.getBuiltinModule('node:v8');
  const messages = deserialize(readFileSync(fd)) as unknown[];
  closeSync(fd);
  const emitter: NodeJS.EventEmitter = process;
  const deliver = () => {
    if (emitter.listenerCount('message') === 0) return;
    emitter.off('newListener', soon);
    for (const message of messages.splice(0)) emitter.emit('message', message);
  };
  // Before Node does the same with what has come since, by nextTick: in an ES module's first turn microtasks come first.
  const soon = () => {
    nextTick(deliver);
    void Promise.resolve().then(deliver);
  };
  soon();
  emitter.prependListener('newListener', soon);
}
