/**
 * @multiprocessing/core: one file per CPython module, under the same names.
 */

export type { Address, Family } from './addresses.ts';
export * as queues from './all_queues.ts';
export * from './arguments.ts';
export {
  answerChallenge,
  answerChallengeSync,
  type ChallengeOptions,
  deliverChallenge,
  deliverChallengeSync,
  type MessageChannel,
  type MessageChannelSync,
} from './authentication.ts';
export { bootstrap } from './bootstrap.ts';
export { importModule, loadedBundle } from './bundle.ts';
export { Client, type ClientOptions, ClientSync } from './client.ts';
export { closures, loadsFromParent, rehearsalMessage } from './closures.ts';
export type { Codec, CodecOption } from './codec.ts';
export * from './connection.ts';
export { DupFd } from './dup_fd.ts';
export * from './errors.ts';
export * as heap from './heap.ts';
export { getInheritedFds, setInheritedFds } from './inherited_fds.ts';
export { Listener, type ListenerOptions } from './listener.ts';
export * from './main_module.ts';
export * from './process.ts';
export { table } from './process_table.ts';
export * as pythonPickle from './python_pickle.ts';
export * from './reducer.ts';
export * from './reduction.ts';
export * as resourceSharer from './resource_sharer.ts';
export * as resourceTracker from './resource_tracker.ts';
export * from './send_fds.ts';
export * from './shareable_list.ts';
export * from './shared_memory.ts';
export * as sharedctypes from './sharedctypes.ts';
export * from './spawning.ts';
export * from './start_method.ts';
export * from './state.ts';
export * as synchronize from './synchronize.ts';
export { dumpsForThread } from './thread_sharing.ts';
export { watchThreads } from './threads.ts';
export * from './trace.ts';
export * as util from './util.ts';
export * from './wait.ts';
