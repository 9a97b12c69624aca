// What a program sees that watches a folder (Linux, python3).

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { ALONE, interpreter } from './python'

/** The events in `dir` while `body` runs, in order: names and what inotify says of them. */
export async function watching(dir: string, body: () => unknown): Promise<string[]> {
  const watcher = spawn(interpreter(), [...ALONE, join(import.meta.dirname, 'inotify.py'), dir], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await Promise.race([once(watcher.stdout, 'readable'), once(watcher, 'exit')])
  try {
    await body()
  } finally {
    watcher.stdin.end()
  }
  const [, ...events] = (await text(watcher.stdout)).trim().split('\n')
  return events
}
