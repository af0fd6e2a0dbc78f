/**
 * @multiprocessing/core: a room (folder) per CPython module, under the same names. They import only downwards, in this
 * order from the ground up: base, util, process, pickle, python_pickle, closures, fds, heap, sharedctypes, wait,
 * shared_memory, connection, synchronize, queues, pool, managers (house.mjs). The file with the room's name says what the others are for.
 */

export * from './base/base.ts';
export { closures, dumpsForChild, loadsFromParent, rehearsalMessage } from './closures/closures.ts';
export type { Address, Family } from './connection/addresses.ts';
export {
  type AnswerOptions,
  answerChallenge,
  answerChallengeSync,
  type ChallengeOptions,
  deliverChallenge,
  deliverChallengeSync,
  type MessageChannel,
  type MessageChannelSync,
} from './connection/authentication.ts';
export { Client, type ClientOptions, ClientSync } from './connection/client.ts';
export type { Codec, CodecOption, CodecOptions } from './connection/codec.ts';
export * from './connection/connection.ts';
export { Listener, type ListenerOptions } from './connection/listener.ts';
export * as resourceSharer from './connection/resource_sharer.ts';
export * from './fds/fds.ts';
export * as heap from './heap/heap.ts';
export * from './pickle/reducer.ts';
export * from './pickle/reduction.ts';
export { dumpsForThread } from './pickle/thread_sharing.ts';
export { bootstrap } from './process/bootstrap.ts';
export { rehearseTurn } from './process/last_turn.ts';
export { loadModule } from './process/load_module.ts';
export * from './process/main_module.ts';
export * from './process/process.ts';
export * from './process/spawning.ts';
export * from './process/start_method.ts';
export { environmentOfChildren } from './process/test_runners.ts';
export { watchThreads } from './process/threads.ts';
export * as queues from './queues/queues.ts';
export * as resourceTracker from './shared_memory/resource_tracker.ts';
export * from './shared_memory/shareable_list.ts';
export * from './shared_memory/shared_memory.ts';
export * as sharedctypes from './sharedctypes/sharedctypes.ts';
export * as synchronize from './synchronize/synchronize.ts';
export * as util from './util/util.ts';
