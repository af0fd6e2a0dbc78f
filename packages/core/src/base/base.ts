/**
 * The ground floor: what every other room may use, and what needs none of them.
 *
 *     arguments.ts      checks of what callers give, before anything is made from it
 *     bootstrapping.ts  which code may start processes
 *     bundle.ts         how this library is loaded when it is one script; import() from there
 *     cpus.ts           how many processors this process may use
 *     errors.ts         the exceptions of multiprocessing/context.py, and Python's own that the API promises
 *     hook_marks.ts     what the import of a module has begun, on old Nodes
 *     late_rooms.ts     rooms that are loaded when they are first needed
 *     names.ts          what a name stands for, and under which name an object can be sent
 *     process_table.ts  who this process is, its parent and children; what of a Process other rooms need
 *     require.ts        the `require` of this library
 *     spin.ts           the first microseconds of a blocking wait
 *     state.ts          what exists once per process, however many copies of this library there are
 *     temp_dir.ts       where temporary files go: `mkdtemp` of tempfile.py
 *     trace.ts          events in a process's life, for `multiprocessing trace`
 *     users.ts          whose processes and files are trusted
 *     wait_fds.ts       `wait` of multiprocessing/connection.py: several fds at once
 */
export * from './arguments.ts';
export {
  beginBootstrapping,
  checkMayStart,
  endImports,
  importing,
} from './bootstrapping.ts';
export { loadedBundle } from './bundle.ts';
export * from './errors.ts';
export { enterRoom, giveRoom, hasRoom, LATE_ROOMS, type LateRoom, lateRoom } from './late_rooms.ts';
export { table } from './process_table.ts';
export * from './state.ts';
export { makeTempDir } from './temp_dir.ts';
export * from './trace.ts';
export * from './wait_fds.ts';
