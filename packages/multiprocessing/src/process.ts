/** `multiprocessing/process`: the Process object and what belongs to it. */
export {
  activeChildren,
  AuthenticationString,
  BaseProcess,
  currentProcess,
  parentProcess,
  type ProcessOptions,
  type Target,
} from '@multiprocessing/core';
