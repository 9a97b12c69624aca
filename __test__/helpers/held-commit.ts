// A commit of transactions that is held, by a program that has the lock of the root.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { atomicTransaction, type Transaction, type TransactionOptions } from '@pipeline/atomic'

/** Runs `body` while no transaction can be committed below the root. It ends by letting them. */
export async function whileHeld(dir: string, body: (release: () => void) => Promise<void>): Promise<void> {
  // Makes the folder with the lock. If there is one, what is pending there stays so.
  if (!existsSync(join(dir, '.atomic'))) await atomicTransaction(dir, (tx) => tx.write('first', ''))
  const holder: ChildProcess = spawn('flock', [
    join(dir, '.atomic', 'lock'),
    'sh',
    '-c',
    'echo held; read end',
  ])
  const release = () => void holder.stdin?.end()
  try {
    await once(holder.stdout as NodeJS.ReadableStream, 'data')
    await body(release)
  } finally {
    release()
  }
}

/** So long (ms) functions run until they are committed. */
const LONG = 50

/** A transaction, and one whose function takes so long that those behind it are not committed together with it. */
export async function first<T>(dir: string, build: (tx: Transaction) => T, options?: TransactionOptions) {
  const [made] = await Promise.all([
    atomicTransaction(dir, build, options),
    atomicTransaction(
      dir,
      (tx) => {
        tx.write('slow', () => {
          for (const end = performance.now() + 2 * LONG; performance.now() < end; );
          return ''
        })
      },
      options,
    ),
  ])
  return made
}
