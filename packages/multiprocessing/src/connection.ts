/** `multiprocessing/connection`: connections, and waits for several objects. */
export {
  type Bytes,
  type Codec,
  type CodecOption,
  Connection,
  type ConnectionOptions,
  Pipe,
  type Waitable,
  wait,
  waitSync,
} from '@multiprocessing/core';
