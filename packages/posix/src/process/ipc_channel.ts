/**
 * The channel to the process that has started this program by child_process.fork() is that of the program: a forked
 * child that wrote to it would speak in its parent's name, and what it read the parent would miss. Deviations: D-125.
 */
import { replaceByNeverReady } from '../fds/fd.ts';
import { calledByChildren, writtenByChildren } from '../ffi/compiled.ts';

/** Node's object for the channel. */
interface Control {
  readonly fd?: number;
  unref(): void;
  refCounted(): void;
}

interface Channel {
  channel?: Control | undefined;
  connected?: boolean | undefined;
  send?: unknown;
  disconnect?: unknown;
}

/** Of the process as it is now. */
const ipc = process as unknown as Channel;

const inherited = { fd: -1 };

/** Notes in the process that forks whether there is one. @internal */
export function noteChannel(): void {
  inherited.fd = ipc.channel?.fd ?? -1;
}

/** In a forked child: makes this process one that was started without a channel. @internal */
export function leaveChannel(): void {
  const { channel } = ipc;
  if (inherited.fd < 0 || channel === undefined) return;
  // Not closed: to close Node's handle would tell the parent's listeners, and its number must not become another file's.
  replaceByNeverReady(inherited.fd);
  inherited.fd = -1;
  channel.unref();
  channel.refCounted = nothing; // who listens for messages here waits for nobody
  ipc.connected = false;
  ipc.channel = undefined;
  ipc.send = undefined;
  ipc.disconnect = undefined;
}

function nothing(): void {}

calledByChildren(leaveChannel);
writtenByChildren(inherited);
