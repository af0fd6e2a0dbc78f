/** How `start` and `startSync` launch. */
export interface LaunchOptions {
  /** Whether the caller waits with its stack in place: a forked child cannot go on from there. */
  readonly sync: boolean;
  /** Whether functions without a name travel by value, where they travel. */
  readonly allowClosures?: boolean;
  /** Whether what has threads of addons is forked all the same. */
  readonly allowThreads?: boolean;
}
