/** `multiprocessing/resource_tracker`: who removes what a program that was killed has left. */
export {
  ensureRunning,
  getfd,
  ResourceTracker,
  type ResourceType,
  register,
  unregister,
} from '@multiprocessing/core/shared_memory/resource_tracker';
