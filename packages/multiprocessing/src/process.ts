/** `multiprocessing/process`: the Process object and what belongs to it. */
export {
  AuthenticationString,
  activeChildren,
  BaseProcess,
  currentProcess,
  type ProcessOptions,
  parentProcess,
  type Target,
} from '@multiprocessing/core';
