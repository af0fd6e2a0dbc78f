/** The checks, counted, each with a line for what came out. */
let passed = 0;
let failed = 0;

/** Runs one check, which throws where it fails. */
export async function check(title: string, body: () => Promise<void>): Promise<void> {
  try {
    await body();
    passed += 1;
    console.log(`ok    ${title}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${title}\n${String((error as Error).message).replace(/^/gm, '      ')}`);
  }
}

/** Prints how many there were. @returns the exit code */
export function summary(): number {
  console.log(`${passed} passed, ${failed} failed`);
  return failed > 0 ? 1 : 0;
}
