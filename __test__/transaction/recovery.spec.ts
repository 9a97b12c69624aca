// Transactions that are killed in the middle, and what the next call makes of them.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  linkSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import {
  atomicIndexUpdate,
  atomicTransaction,
  recover,
  snapshotRead,
  snapshotReadIndex,
} from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { increment, readJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'
import { FILES, interrupt, lost, raise, seed, staged, versions } from '../helpers/transaction'

const testKill = needs('strace that may attach')

const actions = ({ files }: { files: { path: string; action: string }[] }) =>
  Object.fromEntries(files.map(({ path, action }) => [path, action]))

/** Flips one byte of a root's journal. */
async function damage(root: string, offset: number, byte: number) {
  const journal = await open(join(root, '.atomic', 'journal'), 'r+')
  await journal.write(Buffer.of(byte), 0, 1, offset)
  await journal.close()
}

describe('a transaction that is killed', () => {
  for (const when of [1, 2, 3, 4]) {
    testKill(`before name ${when} of 4 is completed by recover, which says what it did`, async ({ dir }) => {
      const root = seed(dir)
      await interrupt(root, when)
      expect(versions(root).filter((version) => version === 1)).toHaveLength(when - 1)
      const recovered = await recover(root)
      expect(recovered).toMatchObject({ outcome: 'completed', transaction: 1 })
      const expected = FILES.map((file, at) => [file, at < when - 1 ? 'stood' : 'renamed'])
      expect(actions(recovered)).toEqual(Object.fromEntries(expected))
      expect(versions(root)).toEqual([1, 1, 1, 1])
      expect([staged(root), lost(root)]).toEqual([[], []])
      expect(await recover(root)).toEqual({ outcome: 'nothing', transaction: null, files: [] })
    })
  }

  testKill('is completed by the next transaction, which says so', async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 2)
    const { recovered, transaction } = await atomicTransaction(root, (tx) => {
      tx.update('two/index.json', increment)
      tx.write('one/a.txt', 'version 2')
    })
    expect([recovered?.outcome, transaction]).toEqual(['completed', 2])
    expect(versions(root)).toEqual([2, 1, 2, 1])
  })

  testKill('is completed by an update in a process that has looked there before', async ({ dir }) => {
    const root = seed(dir)
    const index = join(root, 'two', 'index.json')
    await atomicIndexUpdate(index, (index) => index)
    await interrupt(root, 2)
    await atomicIndexUpdate(index, increment)
    expect(versions(root)).toEqual([1, 1, 2, 1])
    expect(staged(root)).toEqual([])
  })

  testKill('is completed by the first write of another process', async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 2)
    const write = inProcess(
      ({ atomicWrite }, file) => atomicWrite(file, 'other'),
      [join(root, 'one', 'other.txt')],
    )
    await write.returned
    expect(versions(root)).toEqual([1, 1, 1, 1])
  })

  testKill('is seen complete by snapshotRead', async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 3)
    const values = await snapshotReadIndex<{ n: number }[]>(root, ['two/index.json', 'two/topics.json'])
    expect(values).toEqual([{ n: 1 }, { n: 1 }])
  })

  testKill('is recovered once by eight processes at once', async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 2)
    const recoverers = Array.from({ length: 8 }, () =>
      inProcess(
        async ({ recover, send, receive }, root) => {
          const goOn = receive()
          send('ready')
          await goOn
          return (await recover(root)).outcome
        },
        [root],
      ),
    )
    for (const recoverer of recoverers) await recoverer.next()
    for (const recoverer of recoverers) recoverer.send('go on')
    const outcomes = await Promise.all(recoverers.map(({ returned }) => returned))
    expect(outcomes.filter((outcome) => outcome === 'completed')).toHaveLength(1)
    expect(versions(root)).toEqual([1, 1, 1, 1])
    expect(staged(root)).toEqual([])
  })

  testKill('during its recovery is recovered by the next one', async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 2)
    for (const when of [1, 2]) {
      const before = `set -- strace -f -qq -o /dev/null -e trace=renameat -e inject=renameat:signal=SIGKILL:when=${when} "$@"`
      const recoverer = inProcess(({ recover }, root) => recover(root), [root], { before })
      await rejection(recoverer.returned)
    }
    expect((await recover(root)).outcome).toBe('completed')
    expect(versions(root)).toEqual([1, 1, 1, 1])
  })
})

describe('what somebody has changed since', () => {
  testKill('stays, and ours is kept beside it', async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 2)
    writeFileSync(join(root, 'one/b.txt'), 'theirs')
    const recovered = await recover(root)
    expect(actions(recovered)['one/b.txt']).toBe('superseded')
    const kept = recovered.files.find(({ path }) => path === 'one/b.txt')?.kept
    expect(readFileSync(join(root, kept as string), 'utf8')).toBe('version 1')
    expect(lost(root)).toEqual([kept])
    expect(readFileSync(join(root, 'one/b.txt'), 'utf8')).toBe('theirs')
    expect(versions(root)).toEqual([1, 0, 1, 1])
  })

  testKill('in place, with the same size and its time put back, stays as well', async ({ dir }) => {
    const root = seed(dir)
    const file = join(root, 'one/b.txt')
    const time = new Date(1_700_000_000_000)
    utimesSync(file, time, time)
    await interrupt(root, 2)
    writeFileSync(file, 'version X')
    utimesSync(file, time, time)
    expect(actions(await recover(root))['one/b.txt']).toBe('superseded')
    expect(readFileSync(file, 'utf8')).toBe('version X')
  })

  testKill('if it was removed, stays removed', async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 2)
    rmSync(join(root, 'one/b.txt'))
    expect(actions(await recover(root))['one/b.txt']).toBe('superseded')
    expect(existsSync(join(root, 'one/b.txt'))).toBe(false)
  })

  testKill('is told from another name of the old file', async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 2)
    linkSync(join(root, 'one/b.txt'), join(dir, 'copy'))
    await recover(root)
    expect(versions(root)).toEqual([1, 1, 1, 1])
  })

  testKill('a staged file that is gone is reported, and the rest is completed', async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 2)
    const [file] = staged(root).filter((name) => name.includes('.b.txt.'))
    rmSync(join(root, file as string))
    expect(actions(await recover(root))['one/b.txt']).toBe('lost')
    expect(versions(root)).toEqual([1, 0, 1, 1])
  })

  testKill('a folder that is a link now is not followed', async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 2)
    renameSync(join(root, 'two'), join(dir, 'elsewhere'))
    const { symlinkSync } = await import('node:fs')
    symlinkSync(join(dir, 'elsewhere'), join(root, 'two'))
    const recovered = actions(await recover(root))
    expect(recovered['two/index.json']).toBe('superseded')
    expect(readJson(join(dir, 'elsewhere', 'index.json'))).toEqual({ n: 0 })
  })
})

describe('a journal', () => {
  testKill('that was copied with its tree is recovered there', async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 2)
    for (const preserveTimestamps of [true, false]) {
      const copy = join(dir, `copy-${preserveTimestamps}`)
      cpSync(root, copy, { recursive: true, preserveTimestamps })
      expect((await recover(copy)).outcome).toBe('completed')
      expect(versions(copy)).toEqual([1, 1, 1, 1])
    }
    expect(versions(root)).toEqual([1, 0, 0, 0])
  })

  testKill('whose record is torn counts for nothing', async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 1)
    await damage(root, 4096 + 70, 0xff)
    expect((await recover(root)).outcome).toBe('nothing')
    expect(versions(root)).toEqual([0, 0, 0, 0])
    await raise({ atomicTransaction }, root, 2)
    expect(versions(root)).toEqual([2, 2, 2, 2])
  })

  testKill('whose state is torn is recovered by what reads below the root', async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 2)
    // Within the number of the last transaction that needs nothing any more.
    await damage(root, 9, 0xff)
    const [text] = await snapshotRead(root, ['one/a.txt'])
    expect(text).toBe('version 1')
    expect(versions(root)).toEqual([1, 1, 1, 1])
  })

  test('whose record comes back has nothing done again, whatever was done since', async ({ dir }) => {
    const root = seed(dir)
    await atomicTransaction(root, (tx) => {
      tx.write('one/a.txt', 'version 1')
      tx.write('new.txt', 'made')
      tx.update('two/index.json', () => ({ n: 1 }), { space: 0 })
      tx.remove('one/b.txt')
    })
    // As of a state that has not reached the disk.
    await damage(root, 9, 0xff)
    rmSync(join(root, 'new.txt'))
    writeFileSync(join(root, 'two/index.json'), '{"n":7}')
    // The very bytes that it had.
    writeFileSync(join(root, 'one/b.txt'), 'version 0')
    const recovered = await recover(root)
    expect(recovered.outcome).toBe('completed')
    expect(actions(recovered)).toEqual({
      'one/a.txt': 'stood',
      'new.txt': 'lost',
      'two/index.json': 'superseded',
      'one/b.txt': 'superseded',
    })
    expect([versions(root), existsSync(join(root, 'new.txt'))]).toEqual([[1, 0, 7, 0], false])
    expect([staged(root), lost(root)]).toEqual([[], []])
    expect((await recover(root)).outcome).toBe('nothing')
  })

  test.for([0, 20, 4100])(
    'that ends after %i bytes says nothing, and files are read',
    async (length, { dir }) => {
      const root = seed(dir)
      await raise({ atomicTransaction }, root, 1)
      truncateSync(join(root, '.atomic', 'journal'), length)
      // From there on its state is not what it was.
      await damage(root, Math.min(9, length), 0xff)
      expect(await snapshotRead(root, ['one/a.txt'], { timeout: 5000 })).toEqual(['version 1'])
    },
  )

  testKill('whose staged files are torn is dropped', async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 1)
    const [torn] = staged(root).filter((name) => /topics.*\.atomic-txn$/.test(name))
    writeFileSync(join(root, torn as string), '')
    expect(await recover(root)).toMatchObject({ outcome: 'dropped' })
    expect(versions(root)).toEqual([0, 0, 0, 0])
    expect(staged(root)).toEqual([])
  })

  testKill('of a later version is not touched, and can be given up', async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 2)
    await damage(root, 4096 + 7, '2'.charCodeAt(0))
    const before = names(join(root, 'one'))
    for (const attempt of [recover(root), atomicTransaction(root, (tx) => tx.write('one/a.txt', 'x'))]) {
      const error = await rejection(attempt)
      expect(error).toMatchObject({ code: 'ERR_ATOMIC_JOURNAL' })
      expect(error.message).toContain('giveUp: true')
    }
    expect(names(join(root, 'one'))).toEqual(before)
    expect(await recover(root, { giveUp: true })).toMatchObject({ outcome: 'given-up' })
    await raise({ atomicTransaction }, root, 3)
    expect(versions(root)).toEqual([3, 3, 3, 3])
  })

  testKill('is not needed by writes to other files: they go on', async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 2)
    await damage(root, 4096 + 7, '2'.charCodeAt(0))
    const write = inProcess(
      ({ atomicWrite }, file) => atomicWrite(file, 'other'),
      [join(root, 'one', 'other.txt')],
    )
    await write.returned
    expect(readFileSync(join(root, 'one/other.txt'), 'utf8')).toBe('other')
  })
})

describe('what a killed process has staged', () => {
  testKill('without a record is swept by another process', async ({ dir }) => {
    const root = seed(dir)
    await raise({ atomicTransaction }, root, 1)
    // That is asked for before any flush, and so before there is a record.
    const call = 'sync_file_range'
    const before = `set -- strace -f -qq -o /dev/null -e trace=${call} -e inject=${call}:signal=SIGKILL:when=2 "$@"`
    const child = inProcess(raise, [root, 2], { before })
    await rejection(child.returned)
    expect(staged(root).length).toBeGreaterThan(0)
    const other = inProcess(raise, [root, 3])
    await other.returned
    expect(versions(root)).toEqual([3, 3, 3, 3])
    const sweeper = inProcess(raise, [root, 4])
    await sweeper.returned
    expect(staged(root)).toEqual([])
  })
})

describe('what stands in the way of a recovery', () => {
  testKill('for a moment does not let an update go ahead without it', async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 2)
    // As after a power cut: no lock file is left that points to the root.
    for (const file of staged(root)) if (file.endsWith('.lock')) rmSync(join(root, file))
    const holder = spawn('flock', ['-s', join(root, '.atomic', 'lock'), 'sh', '-c', 'echo held; sleep 0.5'])
    await once(holder.stdout, 'data')
    const update = inProcess(
      ({ atomicIndexUpdate }, file) => atomicIndexUpdate(file, (index) => ({ n: index.n + 1 })),
      [join(root, 'two', 'topics.json')],
    )
    await update.returned
    expect(versions(root)).toEqual([1, 1, 1, 2])
  })

  testKill('another name of a large file, or another mode, is not', async ({ dir }) => {
    const root = seed(dir)
    const big = join(root, 'one/b.txt')
    writeFileSync(big, Buffer.alloc(3 << 20, 'x'))
    await interrupt(root, 2)
    linkSync(big, join(dir, 'copy'))
    rmSync(join(dir, 'copy'))
    await recover(root)
    expect(versions(root)).toEqual([1, 1, 1, 1])
  })

  const testRights = needs('root', 'strace that may attach')
  testRights('are rights that its user did not have: root does not lend its own', async ({ dir }) => {
    const { chmodSync, chownSync, mkdirSync } = await import('node:fs')
    chmodSync(dir, 0o755)
    const root = join(dir, 'theirs')
    mkdirSync(join(root, 'secure'), { recursive: true })
    writeFileSync(join(root, 'secure', 'precious'), 'x')
    chownSync(root, 65534, 65534)
    const remove = inProcess(
      ({ atomicTransaction }, root) =>
        atomicTransaction(root, [{ write: 'a', data: '' }, { remove: 'secure/precious' }]).then(
          () => 'done',
          (error) => error.code,
        ),
      [root],
      { uid: 65534 },
    )
    expect(await remove.returned).toBe('EACCES')
    const write = inProcess(({ atomicWrite }, file) => atomicWrite(file, ''), [join(root, 'unrelated')])
    await write.returned
    expect(readFileSync(join(root, 'secure', 'precious'), 'utf8')).toBe('x')
  })
})
