/**
 * Fds that travel: the second half of multiprocessing/reduction.py.
 *
 * dup_fd.ts     DupFd: an fd inside of a pickle
 * inherited.ts  what this process's parent has passed to it
 * send_fds.ts   sendfds, recvfds, sendHandle, recvHandle: fds through a Unix socket
 * sockets.ts    sockets and servers of node:net in a pickle
 */
import './sockets.ts';

export { DupFd } from './dup_fd.ts';
export { getInheritedFds, setInheritedFds } from './inherited.ts';
export * from './send_fds.ts';
