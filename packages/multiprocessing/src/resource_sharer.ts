/** `multiprocessing/resource_sharer`: who holds the fds that were sent and not fetched yet. */
export { SharedFd as DupFd, stop } from '@multiprocessing/core/connection/resource_sharer';
