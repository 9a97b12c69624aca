// What the publishing pipeline did before this package: no flush, one fixed temp name, and a lock file for its main
// index. The pause between two attempts is not known: here it is a random 25 to 75 ms, so that of many waiting calls
// one tries soon after the lock is free.

import { open, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

const LOCK_RETRY_MS = 50
const LOCK_TIMEOUT_MS = 30_000
const LOCK_STALE_MS = 5 * 60_000

/** Temp file, read back, compare, rename. */
export async function formerWrite(path: string, data: string | Buffer): Promise<void> {
  const temp = `${path}.tmp`
  await writeFile(temp, data)
  const same =
    typeof data === 'string' ? (await readFile(temp, 'utf8')) === data : (await readFile(temp)).equals(data)
  if (!same) throw new Error('read back something else')
  await rename(temp, path)
}

/** Read, change, write, as the topic index and the metrics were: without a lock. */
export async function formerUpdate<T>(path: string, change: (index: T) => T): Promise<void> {
  const index = change(JSON.parse(await readFile(path, 'utf8')))
  const text = JSON.stringify(index, null, 2)
  // The pipeline checked that its own text was JSON.
  JSON.parse(text)
  await formerWrite(path, text)
}

/** The same under the lock that guarded the content index. */
export async function formerLockedUpdate<T>(path: string, change: (index: T) => T): Promise<void> {
  const lock = `${path}.lock`
  await takeLock(lock)
  try {
    await formerUpdate(path, change)
  } finally {
    await unlink(lock)
  }
}

async function takeLock(lock: string): Promise<void> {
  const since = performance.now()
  for (;;) {
    try {
      const handle = await open(lock, 'wx')
      await handle.writeFile(String(process.pid))
      return await handle.close()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const age = await stat(lock).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    )
    if (age > LOCK_STALE_MS) await unlink(lock).catch(() => {})
    else if (performance.now() - since > LOCK_TIMEOUT_MS) throw new Error(`no lock within 30 s: ${lock}`)
    else await sleep(LOCK_RETRY_MS * (0.5 + Math.random()))
  }
}
