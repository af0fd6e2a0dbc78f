/** `multiprocessing/reduction`: how objects are pickled for another process. */
export {
  DupFd,
  dumpsForThread,
  ForkingPickler,
  nameOf,
  type Reduced,
  register,
} from '@multiprocessing/core';
