// What a sweep leaves alone because others need it: roots of transactions, and locks of other programs.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import * as Atomic from '@pipeline/atomic'
import { atomicTransaction, recover, sweep } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { makeDir, names } from '../helpers/files'
import { mounted, needs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { ALONE, interpreter } from '../helpers/python'
import { test } from '../helpers/test'
import { interrupt, raise, seed, staged, versions } from '../helpers/transaction'
import { treeOf } from '../helpers/trees'

import { RECORD, told } from './support'

describe('sweep', () => {
  needs('strace that may attach')(
    'leaves to recover what an interrupted transaction has left, and sweeps after that',
    async ({ dir }) => {
      const root = seed(dir)
      await interrupt(root, 2)
      const before = treeOf(root)
      const pending = await sweep(root, { recursive: true })
      const kinds = pending.kept.map(({ kind, reason }) => `${kind} ${reason}`)
      expect(new Set(kinds)).toEqual(new Set(['journal pending', 'staged pending', 'lock pending']))
      expect(pending.removed.map(({ kind }) => kind)).toEqual(['mark'])
      expect(treeOf(root)).toMatchObject(
        Object.fromEntries(Object.entries(before).filter(([name]) => !name.endsWith('.live'))),
      )
      expect(await recover(root)).toMatchObject({ outcome: 'completed' })
      expect(await sweep(root, { recursive: true })).toMatchObject({ removed: [], kept: [] })
      expect(staged(root)).toEqual([])

      // One that was killed before its record: what it has staged is nobody's.
      const tag = pending.kept
        .find(({ kind }) => kind === 'staged')
        ?.path.slice(-'RRRRPPPPXXXX.atomic-txn'.length)
      const orphan = join(root, 'one', `.a.txt.${tag?.slice(0, 4)}PPPPXXXX.atomic-txn`)
      writeFileSync(orphan, 'staged')
      // A moved tree does not say any more whose it is.
      const moved = makeDir(dir, 'moved')
      writeFileSync(join(moved, '.a.txt.RRRRPPPPXXXX.atomic-txn'), 'staged')
      const rest = await sweep(dir, { recursive: true })
      expect(rest.removed.map(({ path }) => path)).toEqual([orphan])
      expect(told(moved, { ...rest, removed: [] })).toEqual({
        '.a.txt.RRRRPPPPXXXX.atomic-txn': 'staged undecided',
      })
    },
  )

  test('leaves what was taken away from its name and has no other one, whoever sweeps', async ({ dir }) => {
    const root = seed(dir)
    await raise(Atomic, root, 1)
    const journal = readFileSync(join(root, '.atomic/journal'))
    const tag = journal.subarray(24, 28).toString()
    const [only, moved] = ['theirs', 'moved'].map((name) => `.${name}.${tag}${tag}XXXX.atomic-txn`) as [
      string,
      string,
    ]
    const file = (name: string) => join(root, 'one', name)
    writeFileSync(file(only), 'theirs')
    const move = () => {
      writeFileSync(file(moved), 'moved')
      linkSync(file(moved), file('moved'))
    }
    move()
    const swept = await sweep(join(root, 'one'))
    expect(told(join(root, 'one'), swept)).toEqual({ [only]: 'staged only-copy', [moved]: 'staged removed' })
    rmSync(file('moved'))
    move()
    const write = ({ atomicWrite }: Remote, path: string) => atomicWrite(path, '').then(() => {})
    await inProcess(write, [file('new')]).returned
    expect(staged(root)).toEqual([join('one', only)])
  })

  needs('strace that may attach')(
    'leaves a root what it has staged in a folder that has a copy of the root',
    async ({ dir }) => {
      const root = seed(dir)
      await raise(Atomic, root, 1)
      const archive = join(root, 'one', 'archive')
      execFileSync('cp', ['-a', root, join(dir, 'copy')])
      renameSync(join(dir, 'copy'), archive)
      // Of a process that was killed after the first file had its name.
      await interrupt(root, 2, 2, 'one/archive/')
      const tag = staged(root).flatMap((name) => /\.(.{4}).{8}\.atomic-txn$/.exec(name)?.[1] ?? [])[0]
      const swept = await sweep(root, { recursive: true })
      expect(swept.removed.map(({ kind }) => kind)).not.toContain('staged')
      expect(await recover(root)).toMatchObject({ outcome: 'completed' })
      expect(versions(archive)).toEqual([2, 2, 2, 2])

      // Of a living process, this one; a write there sweeps as well.
      const mark = names(join(root, '.atomic'))
        .find((name) => name.endsWith('.live'))
        ?.slice(0, 4)
      const living = `.a.txt.${tag}${mark}XXXX.atomic-txn`
      writeFileSync(join(archive, 'one', living), 'staged')
      await inProcess(({ atomicWrite }, path) => atomicWrite(path, 'x'), [join(archive, 'one', 'other')])
        .returned
      expect(told(join(archive, 'one'), await sweep(join(archive, 'one')))).toEqual({
        [living]: 'staged in-use',
      })

      // Nobody's. Where only the copy can be seen, that is not known: it has had no transaction of its own.
      const orphan = join(archive, 'one', `.a.txt.${tag}PPPPXXXX.atomic-txn`)
      writeFileSync(orphan, 'staged')
      renameSync(archive, join(dir, 'alone'))
      const alone = await sweep(join(dir, 'alone', 'one'))
      expect(alone.kept.map(({ reason }) => reason)).toEqual(['undecided', 'undecided'])
      renameSync(join(dir, 'alone'), archive)
      expect((await sweep(root, { recursive: true })).removed.map(({ path }) => path)).toContain(orphan)
    },
  )

  needs('strace that may attach', 'root that may mount')(
    'leaves the lock of an interrupted transaction whose root is out of sight',
    async ({ dir }) => {
      const root = seed(dir)
      await interrupt(root, 1)
      // What is above the mount is another root.
      const other = makeDir(dir, 'other')
      await atomicTransaction(other, (tx) => tx.write('file', 'x'))
      for (const at of [join(dir, 'alone'), join(other, 'two')]) {
        const seen = await mounted(at, ['--bind', join(root, 'two')], (at) => sweep(at))
        expect(seen.removed).toEqual([])
        expect(new Set(seen.kept.map(({ kind, reason }) => `${kind} ${reason}`))).toEqual(
          new Set(['lock pending', 'staged undecided']),
        )
      }
      expect(await recover(root)).toMatchObject({ outcome: 'completed' })
      expect(versions(root)).toEqual([1, 1, 1, 1])
    },
  )

  needs('linux')('tells the bytes of a path that is no UTF-8', async ({ dir }) => {
    const below = (folder: Buffer | string, name: string) =>
      Buffer.concat([Buffer.from(folder), Buffer.from(`/${name}`, 'latin1')])
    const folder = below(dir, 'd\xff')
    const old = below(folder, '.a\xfe.OOOOOOOOOOOO.atomic-old')
    const temp = below(folder, '.a\xfe.TTTTTTTTTTTT.atomic-tmp')
    mkdirSync(old, { recursive: true })
    writeFileSync(temp, 'half')
    writeFileSync(join(dir, '.text.json.lock'), RECORD)
    const { removed, kept } = await sweep(dir, { recursive: true })
    expect(kept).toMatchObject([{ path: `${dir}/d\ufffd/.a\ufffd.OOOOOOOOOOOO.atomic-old`, rawPath: old }])
    expect(removed.map(({ rawPath }) => rawPath)).toEqual(expect.arrayContaining([undefined, temp]))
    expect(existsSync(temp)).toBe(false)
    const again = await sweep(folder)
    expect(again.kept.map(({ rawPath }) => rawPath)).toEqual([old])
    rmdirSync(again.kept[0]?.rawPath as Buffer)
    expect(await sweep(folder)).toMatchObject({ removed: [], kept: [] })
  })

  needs('linux', 'python3')('leaves a lock that another program has by fcntl', async ({ dir }) => {
    const lock = join(dir, '.notes.lock')
    const keep = `import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.lockf(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()`
    writeFileSync(lock, RECORD)
    const holder = spawn(interpreter(), [...ALONE, '-c', keep, lock])
    await once(holder.stdout, 'data')
    expect(told(dir, await sweep(dir))).toEqual({ '.notes.lock': 'lock in-use' })
    holder.stdin.end()
    await once(holder, 'exit')
    expect(told(dir, await sweep(dir))).toEqual({ '.notes.lock': 'lock removed' })
  })
})
