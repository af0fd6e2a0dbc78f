/** What a child runs that has nothing to do with the main module. */
export function nothing(): void {}
