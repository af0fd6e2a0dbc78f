/**
 * The plan of the house: its packages from left to right, and the rooms (folders) of each from the ground up. Who stands
 * further back in a list may import who stands before, never the other way round, and no file may take part in a circle.
 * .dependency-cruiser.mjs makes rules of it, plan.mjs draws it.
 */

export const packages = ['posix', 'core', 'popen', 'contexts', 'futures', 'multiprocessing'];

/** A package without rooms is one. A room's main file has the room's name, unless it is named here. */
export const rooms = {
  posix: [
    { room: 'ffi' },
    { room: 'node', main: 'program' },
    { room: 'fds', main: 'fd' },
    { room: 'memory' },
    { room: 'process' },
    { room: 'loop', main: 'readiness' },
    { room: 'sockets', main: 'stream' },
  ],
  core: [
    { room: 'base' },
    { room: 'util', python: 'util.py' },
    { room: 'process', python: 'process.py' },
    { room: 'pickle', main: 'reduction', python: 'reduction.py, pickle.py' },
    { room: 'python_pickle', python: 'pickle.py' },
    { room: 'closures', python: '(cloudpickle)' },
    { room: 'fds', python: 'reduction.py' },
    { room: 'heap', python: 'heap.py' },
    { room: 'sharedctypes', python: 'sharedctypes.py' },
    { room: 'wait', main: 'hub' },
    { room: 'shared_memory', python: 'shared_memory.py, resource_tracker.py' },
    { room: 'connection', python: 'connection.py, resource_sharer.py' },
    { room: 'synchronize', python: 'synchronize.py' },
    { room: 'queues', python: 'queues.py' },
    { room: 'pool', python: 'pool.py' },
    { room: 'managers', python: 'managers.py' },
  ],
  popen: [
    { room: 'base', main: '../index' },
    { room: 'loader' },
    { room: 'spawn', python: 'spawn.py' },
    { room: 'forkserver', python: 'forkserver.py' },
    { room: 'launch', main: 'popen_fork', python: 'popen_*.py' },
  ],
};
