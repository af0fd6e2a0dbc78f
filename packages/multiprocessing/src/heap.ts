/** `multiprocessing/heap`: memory that a process shares with its children, in blocks of any size. */
export { Arena, BufferWrapper, Heap } from '@multiprocessing/core/heap/heap';
