/** Loaded by a child alone. */
export const late = (word: string): string => word;
