/**
 * Images that are made smaller by sharp, a library with threads of its own, in the processes of a pool.
 *
 *     npx tsx examples/pool_images.ts spawn|fork|forkserver
 */
import * as mp from 'multiprocessing';

type Sharp = typeof import('sharp').default;

/** The library, or undefined where it is not installed. */
async function findSharp(): Promise<Sharp | undefined> {
  try {
    return (await import('sharp')).default;
  } catch {
    return undefined;
  }
}

interface Image {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Makes an image small. It goes there and back as a typed array, which is copied and not pickled with the rest. */
export async function thumbnail({ name, bytes }: Image): Promise<Image> {
  const sharp = (await findSharp()) as Sharp;
  const small = await sharp(bytes).resize({ width: 160 }).webp().toBuffer();
  return { name: name.replace(/\.png$/, '.webp'), bytes: new Uint8Array(small) };
}

if (mp.isMain(import.meta)) {
  const ctx = mp.getContext((process.argv[2] ?? 'spawn') as 'spawn');
  const sharp = await findSharp();
  if (sharp === undefined) {
    console.log('sharp is not installed: there is nothing to make images smaller with');
  } else {
    const images: Image[] = [];
    for (const [i, name] of ['forest.png', 'lake.png', 'town.png', 'face.png'].entries()) {
      const [width, height] = [
        [640, 480],
        [1600, 900],
        [800, 800],
        [600, 900],
      ][i] as number[];
      const noise = { type: 'gaussian', mean: 128, sigma: 30 } as const;
      const create = { width, height, channels: 3, background: 'white', noise } as const;
      images.push({
        name,
        bytes: await sharp({ create } as object)
          .png()
          .toBuffer(),
      });
    }
    await using pool = ctx.Pool(2);
    for await (const { name, bytes } of pool.imap(thumbnail, images)) {
      const { format, width, height } = await sharp(bytes).metadata();
      console.log(`${name}: ${format}, ${width} x ${height}`);
    }
  }
}
