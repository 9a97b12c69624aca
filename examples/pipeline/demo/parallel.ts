/** Requests that wait for a server, a few at a time. */

const AT_A_TIME = 16

/** @returns what `fn` makes of each item, in their order. */
export async function mapParallel<T, R>(items: readonly T[], fn: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  const waiting = items.entries()
  const worker = async () => {
    for (const [i, item] of waiting) results[i] = await fn(item)
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, worker))
  return results
}
