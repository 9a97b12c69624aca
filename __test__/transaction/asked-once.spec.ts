// What a group of transactions asks the system for each of its files, and what only once.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { needs } from '../helpers/needs'
import { systemCalls } from '../helpers/system-calls'

const TRANSACTIONS = 8
const FILES = ['one/a', 'one/b', 'two/a', 'two/b']

needs('strace that may attach')(
  'the state of a staged file is asked for three times, and what holds for all files is asked for once',
  async ({ dir }) => {
    for (const folder of ['one', 'two']) mkdirSync(join(dir, folder))
    const files = Array.from({ length: TRANSACTIONS }, (_, at) => FILES.map((file) => `${file}-${at}`))
    for (const file of files.flat()) writeFileSync(join(dir, file), 'old')
    const { calls } = await systemCalls(
      async ({ atomicTransaction, require }, root, files) => {
        const { statSync } = require('node:fs') as typeof import('node:fs')
        const publish = (n: number) =>
          Promise.all(
            files.map((own) =>
              atomicTransaction(root, (tx) => {
                for (const file of own) tx.write(file, `version ${n}`)
              }),
            ),
          )
        // The first makes what there is only once.
        await publish(1)
        statSync('/a mark', { throwIfNoEntry: false })
        return publish(2)
      },
      [dir, files],
      { trace: ['fstat', 'close', 'fcntl', 'prlimit64', 'geteuid', 'renameat', 'statx', 'stat'] },
    )
    const mark = calls.findIndex(({ args }) => args.includes('/a mark'))
    expect(mark).toBeGreaterThan(0)
    const after = calls.slice(mark + 1)
    const count = (name: string, of: string) =>
      after.filter((call) => call.name === name && call.args.includes(of)).length
    const staged = files.flat().length
    expect({
      renamed: count('renameat', '.atomic-txn'),
      // Whose it is and how open, what is read back, and what it is when a copy of it is closed.
      looked: count('fstat', '.atomic-txn'),
      closed: count('close', '.atomic-txn'),
      copied: count('fcntl', '.atomic-txn'),
    }).toEqual({ renamed: staged, looked: 3 * staged, closed: 2 * staged, copied: staged })
    // Once a group, and the first transaction is one of its own.
    expect(count('prlimit64', 'RLIMIT_NOFILE')).toBeLessThanOrEqual(2)
    // For the journal. For a file it is asked for only in a directory that is sticky.
    expect(count('geteuid', '')).toBeLessThan(staged)
  },
)
