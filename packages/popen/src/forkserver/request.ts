/**
 * What a client asks the server for: one byte that says how, with the fds of the child. Deviation: D-111.
 */
import { hasRoom, LATE_ROOMS, type LateRoom } from '@multiprocessing/core';
import { close, MAX_FDS_PER_MESSAGE, receive, sendmsg, socketpair } from '@multiprocessing/posix';

/** The server forks although it has threads of an addon. */
const ANYWAY = 1;
/** The fds but the first lie in a socket. */
const PACKED = 2;
/** From here on a bit for each room that is loaded late and is there in who asks: children may well need it. */
const ROOMS = 4;

/** A request, as the server reads it. @internal */
export interface ChildRequest {
  readonly allowThreads: boolean;
  readonly rooms: readonly LateRoom[];
  readonly fds: readonly number[];
  /** Why not all fds have come. */
  readonly lost: ReturnType<typeof receive>['lost'];
}

/**
 * @param status where the server answers: it goes first, so that it arrives where not all can
 * @throws OSError ETOOMANYREFS or EAGAIN where the kernel does not take so many fds at once
 * @internal
 */
export function sendRequest(
  socket: number,
  status: number,
  fds: readonly number[],
  allowThreads: boolean,
): void {
  let how = allowThreads ? ANYWAY : 0;
  for (const [i, room] of LATE_ROOMS.entries()) if (hasRoom(room)) how |= ROOMS << i;
  if (fds.length < MAX_FDS_PER_MESSAGE) {
    sendmsg(socket, Buffer.of(how), [status, ...fds]);
    return;
  }
  const pack = packed(fds);
  try {
    sendmsg(socket, Buffer.of(how | PACKED), [status, pack]);
  } finally {
    close(pack);
  }
}

/**
 * Puts more fds than a message can have into a socket of their own, which goes in their place: several messages on the
 * server's socket could get between those of another client. They lie in it when the request is sent, so that the server waits for
 * nobody.
 * @returns the socket
 */
function packed(fds: readonly number[]): number {
  const [pack, writer] = socketpair();
  try {
    for (let i = 0; i < fds.length; i += MAX_FDS_PER_MESSAGE) {
      sendmsg(writer, Buffer.of(PACKED), fds.slice(i, i + MAX_FDS_PER_MESSAGE), false);
    }
    return pack;
  } catch (error) {
    close(pack);
    throw error;
  } finally {
    close(writer);
  }
}

/** @returns undefined when nobody is left who could ask @throws OSError @internal */
export function receiveRequest(socket: number): ChildRequest | undefined {
  const { data, fds, lost } = receive(socket, 64);
  const [how] = data;
  if (how === undefined) return undefined;
  const allowThreads = (how & ANYWAY) !== 0;
  const rooms = LATE_ROOMS.filter((_, i) => (how & (ROOMS << i)) !== 0);
  const [status = -1, pack] = fds;
  if ((how & PACKED) === 0 || pack === undefined) return { allowThreads, rooms, fds, lost };
  return { allowThreads, rooms, ...unpack(status, pack) };
}

function unpack(status: number, pack: number): Pick<ChildRequest, 'fds' | 'lost'> {
  const all = [status];
  try {
    for (;;) {
      const { data, fds, lost } = receive(pack, 64);
      all.push(...fds);
      if (data.length === 0 || lost !== undefined) return { fds: all, lost };
    }
  } finally {
    close(pack);
  }
}
