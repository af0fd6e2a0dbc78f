/** `multiprocessing/reduction`: how objects are pickled for another process. */
export {
  closures,
  DupFd,
  dumpsForThread,
  ForkingPickler,
  nameOf,
  type Reduced,
  recvfds,
  recvfdsSync,
  recvHandle,
  recvHandleSync,
  register,
  type SocketLike,
  sendfds,
  sendfdsSync,
  sendHandle,
  sendHandleSync,
} from '@multiprocessing/core';
